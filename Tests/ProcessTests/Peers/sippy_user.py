"""A user of sippy at a core, over UDP, the only transport it speaks: registers, then calls another user, or waits to be called.

    sippy_user.py PORT NAME PASSWORD [CALLED]

Users of home1.test. Prints a line for each thing seen; exits with 0 when the call was made and is over.
"""

import os
import socket
import sys

os.environ["SIPLOG_BEND"] = "none"

from sippy.CCEvents import CCEventConnect, CCEventDisconnect, CCEventPreConnect, CCEventRing, CCEventTry
from sippy.Core.EventDispatcher import ED2
from sippy.MsgBody import MsgBody
from sippy.SipCallId import SipCallId
from sippy.SipLogger import SipLogger
from sippy.SipRegistrationAgent import SipRegistrationAgent
from sippy.SipTransactionManager import SipTransactionManager
from sippy.SipURL import SipURL
from sippy.Time.Timeout import Timeout
from sippy.UA import UA

core = ("127.0.0.1", int(sys.argv[1]))
name, password = sys.argv[2:4]
other = sys.argv[4] if len(sys.argv) > 4 else None
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
missing = {"registered", "connected", "over"}
settings = {
    "_sip_address": "127.0.0.1",
    "_sip_port": port,
    "_sip_logger": SipLogger("pair"),
    "nh_addr": core,
}


def saw(text):
    print(text, flush=True)
    missing.discard(text)
    if text == "registered" and other:
        call()
    if not missing:
        # The last answer may have to be sent again.
        Timeout(ED2.breakLoop, 0.5)


class TryHome(CCEventTry):
    """A call to the home domain, not to the address of the next hop."""

    def onUacSetupComplete(self, ua):
        for url in (ua.rTarget, ua.rUri.getUrl(), ua.lUri.getUrl()):
            url.host = "home1.test"
            url.port = None


agent = None


def call():
    global agent
    agent = UA(settings, event_cb=heard, nh_address=core)
    agent.recvEvent(TryHome((SipCallId(), name, other, MsgBody(SDP), None, name)))


def hangUp():
    agent.recvEvent(CCEventDisconnect())
    saw("over")


def heard(event, ua):
    if isinstance(event, CCEventTry):
        agent.recvEvent(CCEventRing((180, "Ringing", None)))
        agent.recvEvent(CCEventConnect((200, "OK", MsgBody(SDP))))
        saw("connected")
    elif isinstance(event, CCEventConnect):
        saw("connected")
        Timeout(hangUp, 0.2)
    elif isinstance(event, CCEventDisconnect):
        saw("over")
    elif not isinstance(event, (CCEventRing, CCEventPreConnect)):
        sys.exit(f"unexpected: {event}")


def received(request, transaction):
    global agent
    if request.getMethod() == "INVITE" and request.getHFBody("to").getTag() is None:
        agent = UA(settings, event_cb=heard)
        return agent.recvRequest(request, transaction)
    return (request.genResponse(481, "No Such Dialog"), None, None)


settings["_sip_tm"] = SipTransactionManager(settings, received)
SipRegistrationAgent(
    settings,
    SipURL(username=name, host="home1.test"),
    SipURL(username=name, host="127.0.0.1", port=port),
    user=name,
    passw=password,
    rok_cb=lambda expiry, contact, argument: saw("registered"),
    rfail_cb=lambda line, argument: sys.exit(f"not registered: {line}"),
    target=(core, "udp"),
).doregister()
ED2.loop(20)
sys.exit(f"not seen within 20 s: {sorted(missing)}" if missing else 0)
