"""A worker that does what a method's name says."""
import json
import os
import signal
import subprocess
import sys
import time

NAME = sys.argv[1] if len(sys.argv) > 1 else "worker"
held = []


def say(line):
    write((line if isinstance(line, bytes) else line.encode()) + b"\n")


def write(data):
    """Straight to the descriptor: a handler of a signal may come in between two lines, but in no line."""
    while data:
        data = data[os.write(1, data):]


def answer(id, result):
    say(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}, separators=(",", ":")))


def release(*_):
    for id in reversed(held):
        answer(id, "released")
    held.clear()


def finish(*_):
    release()
    sys.exit(0)


def ask(message, params):
    question = {"jsonrpc": "2.0", "id": params["id"], "method": "question", "sessionId": message["sessionId"]}
    say(json.dumps(question))


def stream(message, params):
    note = {"jsonrpc": "2.0", "method": "note", "params": {"text": "x" * params["size"]}}
    note["sessionId"] = message.get("sessionId")
    write((json.dumps(note).encode() + b"\n") * params["count"])
    answer(message["id"], "streamed")


def handle(line):
    message = json.loads(line)
    method, params, id = message.get("method"), message.get("params"), message.get("id")
    if method is None:
        say(json.dumps({"method": "answered", "sessionId": params_session(message), "line": line.decode().strip()}))
    elif method == "raw":
        answer(id, line.decode("utf-8", "surrogateescape").encode("latin1", "replace").decode("latin1").rstrip("\n"))
    elif method == "who":
        answer(id, {"name": NAME, "pid": os.getpid(), "pgid": os.getpgid(0), "env": os.environ.get("MARK"),
                    "cwd": os.getcwd()})
    elif method == "hold":
        held.append(id)
    elif method == "release":
        release()
        answer(id, "done")
    elif method == "big":
        answer(id, "x" * params)
    elif method == "length":
        answer(id, len(line))
    elif method == "stream":
        stream(message, params)
    elif method == "ask":
        ask(message, params)
        answer(id, "asked")
    elif method == "say":
        say(params)
        if id is not None:
            answer(id, "said")
    elif method == "exit":
        os._exit(params)
    elif method == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif method == "close":
        os.close(params)
        signal.pause()
    elif method == "nap":
        time.sleep(params)
        answer(id, "rested")
    elif method == "hang":
        signal.pause()
    elif method == "finish_on_term":
        signal.signal(signal.SIGTERM, finish)
        answer(id, "ready")
    elif method == "ignore_term":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        answer(id, "ready")
    elif method == "child":
        answer(id, subprocess.Popen(["sleep", "1000"]).pid)
    elif method == "fds":
        answer(id, sorted(os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in os.listdir("/proc/self/fd")
                          if int(fd) > 2 and os.path.exists(f"/proc/self/fd/{fd}")))
    elif id is not None:
        answer(id, params)


def params_session(message):
    return message.get("session") or message.get("sessionId") or "s"


if NAME == "false":
    sys.exit(1)
while True:
    try:
        line = sys.stdin.buffer.readline()
    except InterruptedError:
        continue
    if not line:
        break
    handle(line)
