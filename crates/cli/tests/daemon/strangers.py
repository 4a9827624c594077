"""An agent that has read its owner's token and tries to be the owner. It tells in a file what it was answered."""

import ctypes
import json
import os
import socket
import sys
import threading
import time

HOME, REPORT = sys.argv[1], sys.argv[2]
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_DUMPABLE, CLONE_FILES = 4, 0x400
MANY = 20

with open(os.path.join(HOME, "runtime.json")) as file:
    PORT = json.load(file)["port"]
with open(os.path.join(HOME, "token")) as file:
    TOKEN = file.read().strip()


def connect(unix):
    if unix:
        end = socket.socket(socket.AF_UNIX)
        end.connect(os.path.join(HOME, "run/trunkline.sock"))
        return end
    return socket.create_connection(("127.0.0.1", PORT))


def send(end, name):
    """Asks for a token that would outlive the session."""
    body = json.dumps({"name": name, "scope": "admin"})
    head = f"POST /v1/tokens HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n"
    kind = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    end.sendall((head + kind + body).encode())


def ask(name, unix=False):
    end = connect(unix)
    send(end, name)
    return end.recv(65536).decode().split(" ")[1]


def in_child(work):
    """What a child of ours gets done, however deep below us it is."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, (work() or "sent").encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read().decode()
    os.wait()
    return told


def hidden():
    LIBC.prctl(PR_SET_DUMPABLE, 0)
    return ask("hidden")


def own_table():
    told = []

    def work():
        assert LIBC.unshare(CLONE_FILES) == 0
        told.append(ask("own-table"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return told[0]


def orphan():
    """A process that has left our session and lost its parent."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            return ask("orphan")
        os._exit(0)
    os._exit(0)


def left():
    for n in range(MANY):
        end = connect(False)
        send(end, f"left-{n}")
        end.close()


def left_unix():
    end = connect(True)
    send(end, f"left-unix-{os.getpid()}")


told = {
    "plain": ask("plain"),
    "unix": ask("unix", unix=True),
    "hidden": in_child(hidden),
    "own table": own_table(),
    "orphan": in_child(orphan),
}
left()
for _ in range(MANY):
    in_child(left_unix)
with open(REPORT + ".new", "w") as file:
    json.dump(told, file)
os.rename(REPORT + ".new", REPORT)
while True:
    time.sleep(60)
