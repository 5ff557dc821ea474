"""A user of linphonec at a core: registers, sends itself a message, unregisters.

    linphone_user.py udp|tcp|tls PORT FOLDER [CA_FILE]

User alice (wonderland) of home1.test. Prints what linphonec printed; exits with 0 when it was registered in between. What
became of the message linphonec does not tell; whoever runs this asks the core.
"""

import os
import socket
import subprocess
import sys
import time

transport, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
authority = sys.argv[4] if len(sys.argv) > 4 else None

# It opens no transport without a database, and makes no folder for one.
for path in (".local/share/linphone", ".config/linphone"):
    os.makedirs(os.path.join(folder, path), exist_ok=True)
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    own_port = probe.getsockname()[1]
lines = [
    "[sip]",
    f"sip_port={own_port if transport == 'udp' else 0}",
    f"sip_tcp_port={own_port if transport == 'tcp' else 0}",
    f"sip_tls_port={own_port if transport == 'tls' else 0}",
    "guess_hostname=0",
    "contact=sip:alice@127.0.0.1",
    "register_only_when_network_is_up=0",
    "bind_address=127.0.0.1",
]
if authority:
    lines += [f"root_ca={authority}"]
config = os.path.join(folder, "linphonerc")
with open(config, "w") as file:
    file.write("\n".join(lines) + "\n")
output = os.path.join(folder, "linphone.output")
with open(output, "wb") as file:
    linphone = subprocess.Popen(
        ["linphonec", "-c", config, "-d", "5", "-l", os.path.join(folder, "linphone.log")],
        stdin=subprocess.PIPE,
        stdout=file,
        stderr=file,
        env={**os.environ, "HOME": folder},
    )


def read():
    return open(output, errors="replace").read()


def order(line):
    linphone.stdin.write((line + "\n").encode())
    linphone.stdin.flush()


def fail(text):
    linphone.kill()
    linphone.wait()
    sys.exit(f"{text}\n{read()}")


def wait(text, asking=None, patience=25):
    end = time.monotonic() + patience
    while text not in read():
        if linphone.poll() is not None:
            fail(f"linphonec ended with {linphone.returncode}")
        if time.monotonic() > end:
            fail(f"not seen within {patience} s: {text}")
        if asking:
            order(asking)
        time.sleep(0.2)


wait("linphonec>")
host = "localhost" if transport == "tls" else "127.0.0.1"
order(f"register sip:alice@home1.test sip:{host}:{port}{'' if transport == 'udp' else ';transport=' + transport} wonderland")
wait("registered, identity=sip:alice@home1.test", asking="status register")
order("chat sip:alice@home1.test see-you-at-nine")
# It sends while it waits for the next line.
time.sleep(2)
order("unregister")
wait("registered=-1", asking="status register")
order("quit")
try:
    linphone.wait(timeout=15)
except subprocess.TimeoutExpired:
    fail("linphonec does not end")
print(read())
