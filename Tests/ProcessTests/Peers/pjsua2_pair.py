"""Two accounts of PJSUA2 at one core: both register, one sends the other a message and calls it, both go.

    pjsua2_pair.py udp|tcp|tls PORT [CA_FILE]

Users alice (wonderland) and bob (builder) of home1.test. Prints a line for each thing seen; exits with 0 when all were.
"""

import os
import sys
import time

import pjsua2 as pj

transport, port = sys.argv[1], int(sys.argv[2])
authority = sys.argv[3] if len(sys.argv) > 3 else None
seen = []


def note(text):
    seen.append(text)
    print(text, flush=True)


class Call(pj.Call):
    def onCallState(self, prm):
        info = self.getInfo()
        note(f"call {'in' if info.role == pj.PJSIP_ROLE_UAS else 'out'} {info.stateText} {info.lastStatusCode}")


class Account(pj.Account):
    def __init__(self, name):
        super().__init__()
        self.name = name
        self.calls = []

    def onRegState(self, prm):
        note(f"{self.name} registered {prm.code} {'for' if prm.expiration else 'no more'}")

    def onInstantMessage(self, prm):
        note(f"{self.name} received {prm.msgBody}")

    def onInstantMessageStatus(self, prm):
        note(f"{self.name} sent {prm.code}")

    def onIncomingCall(self, prm):
        call = Call(self, prm.callId)
        self.calls.append(call)
        answer = pj.CallOpParam()
        answer.statusCode = 200
        call.answer(answer)


def wait(endpoint, text, patience=20):
    """Lets the endpoint work until a line was seen."""
    end = time.monotonic() + patience
    while text not in seen:
        if time.monotonic() > end:
            sys.exit(f"not seen within {patience} s: {text}")
        endpoint.libHandleEvents(20)


endpoint = pj.Endpoint()
endpoint.libCreate()
settings = pj.EpConfig()
settings.uaConfig.threadCnt = 0
settings.uaConfig.mainThreadOnly = True
settings.logConfig.level = 3
settings.logConfig.consoleLevel = 3
endpoint.libInit(settings)
endpoint.audDevManager().setNullDev()
way = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP, "tls": pj.PJSIP_TRANSPORT_TLS}[transport]
local = pj.TransportConfig()
local.boundAddress = "127.0.0.1"
if authority:
    local.tlsConfig.CaListFile = authority
    local.tlsConfig.verifyServer = True
endpoint.transportCreate(way, local)
endpoint.libStart()

parameter = "" if transport == "udp" else f";transport={transport}"
accounts = {}
for name, password in [("alice", "wonderland"), ("bob", "builder")]:
    config = pj.AccountConfig()
    config.idUri = f"sip:{name}@home1.test"
    config.regConfig.registrarUri = f"sip:127.0.0.1:{port}{parameter}"
    config.sipConfig.proxies.append(f"sip:127.0.0.1:{port};lr{parameter}")
    config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", name, 0, password))
    accounts[name] = Account(name)
    accounts[name].create(config)
for name in accounts:
    wait(endpoint, f"{name} registered 200 for")

buddy = pj.Buddy()
buddyConfig = pj.BuddyConfig()
buddyConfig.uri = "sip:bob@home1.test"
buddy.create(accounts["alice"], buddyConfig)
message = pj.SendInstantMessageParam()
message.content = "see you at nine"
buddy.sendInstantMessage(message)
wait(endpoint, "bob received see you at nine")
wait(endpoint, "alice sent 200")

call = Call(accounts["alice"])
call.makeCall("sip:bob@home1.test", pj.CallOpParam(True))
wait(endpoint, "call out CONFIRMED 200")
wait(endpoint, "call in CONFIRMED 200")
call.hangup(pj.CallOpParam())
wait(endpoint, "call in DISCONNECTED 200")

for account in accounts.values():
    account.setRegistration(False)
for name in accounts:
    wait(endpoint, f"{name} registered 200 no more")
# Its objects would end in an order that the library asserts against.
sys.stdout.flush()
os._exit(0)
