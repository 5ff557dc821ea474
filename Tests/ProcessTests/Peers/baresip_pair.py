"""Two accounts of baresip at one core: both register, one sends the other a message and calls it.

    baresip_pair.py udp|tcp|tls PORT FOLDER [CA_FILE]

Users alice (wonderland) and bob (builder) of home1.test. baresip is told what to do, and tells what happened, by its ctrl_tcp
module. Prints a line for each event; exits with 0 when all that should happen did.
"""

import json
import os
import socket
import subprocess
import sys
import time

transport, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
authority = sys.argv[4] if len(sys.argv) > 4 else None

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    control_port = probe.getsockname()[1]

home = os.path.join(folder, "baresip")
os.makedirs(home, exist_ok=True)
modules = next(p for p in ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules") if os.path.isdir(p))
lines = [
    "sip_listen 127.0.0.1:0",
    f"module_path {modules}",
    "audio_player aufile,/dev/null",
    "audio_source ausine,400",
    "audio_alert none",
    "module opus.so",
    "module ausine.so",
    "module aufile.so",
    "module_app account.so",
    "module_app contact.so",
    "module_app menu.so",
    "module_app ctrl_tcp.so",
    f"ctrl_tcp_listen 127.0.0.1:{control_port}",
]
if authority:
    lines += [f"sip_cafile {authority}", "sip_verify_server yes"]
parameter = "" if transport == "udp" else f";transport={transport}"
# The core's certificate is for its address too; for a name baresip would ask a name server.
accounts = [
    f'<sip:{name}@home1.test{parameter}>;auth_user={name};auth_pass={password};outbound="sip:127.0.0.1:{port}{parameter}"'
    for name, password in [("alice", "wonderland"), ("bob", "builder")]
]
for name, content in [("config", lines), ("accounts", accounts), ("contacts", ['"Bob" <sip:bob@home1.test>'])]:
    with open(os.path.join(home, name), "w") as file:
        file.write("\n".join(content) + "\n")

output = os.path.join(folder, "baresip.output")
with open(output, "wb") as file:
    baresip = subprocess.Popen(["baresip", "-f", home], stdin=subprocess.PIPE, stdout=file, stderr=file)


def fail(text):
    baresip.kill()
    baresip.wait()
    sys.exit(f"{text}\n{open(output, errors='replace').read()}")


def connect():
    end = time.monotonic() + 15
    while time.monotonic() < end:
        if baresip.poll() is not None:
            fail(f"baresip ended with {baresip.returncode}")
        try:
            return socket.create_connection(("127.0.0.1", control_port), timeout=1)
        except OSError:
            time.sleep(0.05)
    fail("baresip does not listen for commands")


control = connect()
control.settimeout(0.5)
buffer = b""
seen = []


def read():
    """The next netstrings, as far as they have come."""
    global buffer
    try:
        buffer += control.recv(65536)
    except socket.timeout:
        return
    while b":" in buffer:
        size, rest = buffer.split(b":", 1)
        if len(rest) < int(size) + 1:
            return
        event = json.loads(rest[: int(size)])
        buffer = rest[int(size) + 1 :]
        if event.get("event"):
            account = event.get("accountaor", "").removeprefix("sip:").split("@")[0]
            line = " ".join(filter(None, [account, event["type"], event.get("param", "") if event["type"] == "MESSAGE" else ""]))
        else:
            line = " ".join(f"answer {event.get('token')} {event.get('ok')} {event.get('data', '')}".split())
        seen.append(line)
        print(line, flush=True)


def wait(check, what, patience=20):
    end = time.monotonic() + patience
    while not any(check(line) for line in seen):
        if time.monotonic() > end:
            fail(f"not seen within {patience} s: {what}; seen: {seen}")
        read()


def order(command, params=""):
    text = json.dumps({"command": command, "params": params, "token": command}).encode()
    control.sendall(b"%d:%s," % (len(text), text))


# They may have registered before anybody listened: so it is asked.
end = time.monotonic() + 20
while not any(line.count("OK ") >= 2 and "answer reginfo" in line for line in seen):
    if time.monotonic() > end:
        fail(f"alice and bob are not both registered; seen: {seen}")
    order("reginfo")
    read()
order("uafind", "sip:alice@home1.test")
wait(lambda line: line.startswith("answer uafind True"), "alice chosen")
order("message", "see-you-at-nine")
wait(lambda line: line == "answer message True", "the message on its way")
# What became of it neither ctrl_tcp nor the screen tells; whoever runs this asks the core.
order("dial", "sip:bob@home1.test")
wait(lambda line: line == "alice CALL_RINGING", "bob's telephone ringing")
order("uafind", "sip:bob@home1.test")
order("accept")
for name in ("alice", "bob"):
    wait(lambda line: line == f"{name} CALL_ESTABLISHED", f"{name} in the call")
order("hangup")
wait(lambda line: line.endswith("CALL_CLOSED"), "the end of the call")
order("quit")
try:
    baresip.wait(timeout=10)
except subprocess.TimeoutExpired:
    fail("baresip does not end")
