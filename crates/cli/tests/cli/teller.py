"""An agent that tells as many numbered lines as it is asked for, or goes on until a file named `enough` is there."""

import itertools
import json
import os
import sys
import time


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def say(text):
    content = {"type": "text", "text": text}
    update = {"sessionUpdate": "agent_message_chunk", "content": content}
    send({"method": "session/update", "params": {"sessionId": "s", "update": update}})


def line(n):
    return f"line {n}: 日本語 and words enough to be broken on a narrow screen\n"


def tell(wanted):
    if wanted.isdigit():
        for first in range(1, int(wanted) + 1, 100):
            say("".join(line(n) for n in range(first, min(first + 100, int(wanted) + 1))))
        return
    for n in itertools.count(1):
        if os.path.exists("enough"):
            return
        say(line(n))
        time.sleep(0.002)


for message in map(json.loads, sys.stdin):
    match message.get("method"):
        case "initialize":
            result = {"protocolVersion": 1, "agentCapabilities": {}}
        case "session/new":
            result = {"sessionId": "s"}
        case "session/prompt":
            tell(message["params"]["prompt"][0]["text"])
            result = {"stopReason": "end_turn"}
        case _:
            continue
    send({"id": message["id"], "result": result})
