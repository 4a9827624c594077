"""An agent that asks for each line of its prompt whether it may run it, one after the other, and runs none."""

import json
import sys


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def receive():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


def permission(number, line):
    call = {"toolCallId": f"call-{number}", "title": line, "kind": "execute", "rawInput": {"command": line}}
    options = [
        {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
        {"optionId": "no", "name": "Reject", "kind": "reject_once"},
    ]
    params = {"sessionId": "s", "toolCall": call, "options": options}
    send({"id": f"ask-{number}", "method": "session/request_permission", "params": params})
    while True:
        message = receive()
        if message.get("id") == f"ask-{number}" and "method" not in message:
            return


asked = 0
while True:
    message = receive()
    match message.get("method"):
        case "initialize":
            result = {"protocolVersion": 1, "agentCapabilities": {}}
        case "session/new":
            result = {"sessionId": "s"}
        case "session/prompt":
            for line in message["params"]["prompt"][0]["text"].splitlines():
                asked += 1
                permission(asked, line)
            result = {"stopReason": "end_turn"}
        case _:
            continue
    send({"id": message["id"], "result": result})
