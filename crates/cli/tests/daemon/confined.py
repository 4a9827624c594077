"""An agent, or a command in its terminal, that tries to get out of its sandbox. It tells in a file of its workspace, whose
name it is given, what came of each attempt. As an agent it then stays."""

import ctypes
import json
import os
import socket
import sys
import threading
import time

HOME, PORT, TOKEN, DAEMON, OUTSIDE = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
REPORT = sys.argv[6]
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWPID, PTRACE_SEIZE = 0x10000000, 0x20000000, 0x4206


def ask():
    """Asks for a token that would outlive the session, with the owner's own, which the test has given away."""
    body = json.dumps({"name": "mine", "scope": "admin"})
    head = f"POST /v1/tokens HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n"
    kind = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    end = socket.create_connection(("127.0.0.1", PORT))
    end.sendall((head + kind + body).encode())
    return end.recv(65536).decode().split(" ")[1]


def by_socket():
    socket.socket(socket.AF_UNIX).connect(os.path.join(HOME, "run/trunkline.sock"))
    return "connected"


def call(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "refused")
    return "done"


def read(path):
    with open(path) as file:
        return file.read()


def write(path):
    with open(path, "w") as file:
        file.write("mine")
    return "written"


def above(path):
    return os.path.join(os.getcwd(), "..", os.path.relpath(path, os.path.dirname(os.getcwd())))


def through(path):
    link = f"link-{REPORT}"
    if not os.path.lexists(link):
        os.symlink(path, link)
    return link


def swapped():
    """A directory of ours that becomes a link to another's while it is used."""
    inside, aside, over = f"inside-{REPORT}", f"aside-{REPORT}", threading.Event()
    os.makedirs(inside, exist_ok=True)

    def swapping():
        while not over.is_set():
            os.rename(inside, aside)
            os.symlink(os.path.dirname(OUTSIDE), inside)
            os.remove(inside)
            os.rename(aside, inside)

    thread = threading.Thread(target=swapping)
    thread.start()
    for _ in range(500):
        attempt(lambda: write(os.path.join(inside, os.path.basename(OUTSIDE))))
    over.set()
    thread.join()
    return "tried"


def inherited():
    """Descriptors that nobody gave us: only the three standard ones are ours, and the one that lists them."""
    open_now = {int(name) for name in os.listdir("/proc/self/fd")}
    extra = [fd for fd in sorted(open_now - {0, 1, 2}) if os.path.exists(f"/proc/self/fd/{fd}")]
    if not extra:
        raise PermissionError("there are none")
    return [os.readlink(f"/proc/self/fd/{fd}") for fd in extra]


def told_by_environment():
    found = [name for name, value in os.environ.items() if TOKEN in value]
    if not found:
        raise PermissionError("it says nothing")
    return found


def in_child(work):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, attempt(work).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    os.wait()
    return told


def deeper():
    """From namespaces of our own, where there are such."""
    LIBC.unshare(CLONE_NEWUSER | CLONE_NEWPID)
    return in_child(ask)


def orphan():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            return ask()
    os._exit(0)


def attempt(work):
    try:
        return str(work())
    except OSError:
        return "refused"


told = {
    "token": attempt(lambda: read(os.path.join(HOME, "token"))),
    "socket": attempt(by_socket),
    "trace": attempt(lambda: call(LIBC.ptrace(PTRACE_SEIZE, DAEMON, 0, 0))),
    "root": attempt(lambda: read(f"/proc/{DAEMON}/root{HOME}/token")),
    "memory": attempt(lambda: read(f"/proc/{DAEMON}/mem")),
    "descriptors": attempt(lambda: os.listdir(f"/proc/{DAEMON}/fd")),
    "environment": attempt(lambda: read(f"/proc/{DAEMON}/environ")),
    "inherited": attempt(inherited),
    "own environment": attempt(told_by_environment),
    "outside": attempt(lambda: write(OUTSIDE)),
    "outside from above": attempt(lambda: write(above(OUTSIDE))),
    "outside through a link": attempt(lambda: write(through(OUTSIDE))),
    "outside by a swap": attempt(swapped),
    "api": attempt(ask),
    "api from deeper": in_child(deeper),
    "api of an orphan": in_child(orphan),
}
if REPORT == "report":
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(0)
with open(f"{REPORT}.new", "w") as file:
    json.dump(told, file)
os.rename(f"{REPORT}.new", REPORT)
while REPORT == "report":
    time.sleep(60)
