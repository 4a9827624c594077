"""An agent that has the daemon try to get out for it: by files that it asks for, and by commands in terminals."""

import json
import os
import sys
import threading

SCRIPT, HOME, OUTSIDE, ARGS = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
WORK, TOKEN = os.getcwd(), ARGS[2]
asked = 0


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def receive():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


def ask(method, **params):
    """What the daemon answers; its refusals are told as such."""
    global asked
    asked += 1
    send({"id": f"ask-{asked}", "method": method, "params": {"sessionId": "s", **params}})
    while True:
        message = receive()
        if message.get("id") == f"ask-{asked}" and "method" not in message:
            return "refused" if "error" in message else message["result"]


def read(path):
    return "refused" if ask("fs/read_text_file", path=path) == "refused" else "read"


def write(path):
    return "refused" if ask("fs/write_text_file", path=path, content="mine") == "refused" else "written"


def link(name, path):
    os.symlink(path, os.path.join(WORK, name))
    return os.path.join(WORK, name)


def swapped():
    """A directory of ours that becomes a link to another's while the daemon writes below it."""
    inside, aside, over = os.path.join(WORK, "inside"), os.path.join(WORK, "aside"), threading.Event()
    os.mkdir(inside)

    def swapping():
        while not over.is_set():
            os.rename(inside, aside)
            os.symlink(os.path.dirname(OUTSIDE), inside)
            os.remove(inside)
            os.rename(aside, inside)

    thread = threading.Thread(target=swapping)
    thread.start()
    for _ in range(200):
        write(os.path.join(inside, os.path.basename(OUTSIDE)))
    over.set()
    thread.join()
    return "tried"


def in_terminal(command, args, cwd):
    """Whether a command that begins elsewhere gets at the token."""
    terminal = ask("terminal/create", command=command, args=args, cwd=cwd)
    if terminal == "refused":
        return terminal
    ask("terminal/wait_for_exit", terminalId=terminal["terminalId"])
    output = ask("terminal/output", terminalId=terminal["terminalId"])["output"]
    return "read" if TOKEN in output else "refused"


def errands():
    token = os.path.join(HOME, "token")
    up = os.path.join(WORK, "..", os.path.relpath(token, os.path.dirname(WORK)))
    told = {
        "read absolute": read(token),
        "read from above": read(up),
        "read through a link": read(link("to-token", token)),
        "read through a door": read(f"/proc/self/root{token}"),
        "write absolute": write(OUTSIDE),
        "write through a link": write(link("to-outside", OUTSIDE)),
        "write beside the token": write(os.path.join(HOME, "new")),
        "a terminal in the home": in_terminal("cat", ["token"], HOME),
        "write by a swap": swapped(),
    }
    terminal = ask("terminal/create", command="python3", args=[SCRIPT, *ARGS])
    ask("terminal/wait_for_exit", terminalId=terminal["terminalId"])
    with open("errands.new", "w") as file:
        json.dump(told, file)
    os.rename("errands.new", "errands")


while True:
    message = receive()
    match message.get("method"):
        case "initialize":
            result = {"protocolVersion": 1, "agentCapabilities": {}}
        case "session/new":
            result = {"sessionId": "s"}
        case "session/prompt":
            errands()
            result = {"stopReason": "end_turn"}
        case _:
            continue
    send({"id": message["id"], "result": result})
