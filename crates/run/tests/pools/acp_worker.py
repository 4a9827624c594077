"""A scripted worker that speaks the Agent Client Protocol: the prompt's words say what it does.

Its arguments: a folder in which sessions are kept for other processes, or "-"; and the id of every session, or "".
"""

import json
import os
import sys

kept, fixed = sys.argv[1], sys.argv[2]
greeted = False
known = set()
waiting = {}


def tell(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def say(session, text):
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
    tell(method="session/update", params={"sessionId": session, "update": update})


def fail(id, code, message):
    tell(id=id, error={"code": code, "message": message})


def file(session):
    return os.path.join(kept, session)


def initialize(id, params):
    global greeted
    if greeted:
        return fail(id, -32600, "I was greeted already")
    if fixed == "unwilling":
        return fail(id, -32603, "not today")
    greeted = True
    tell(id=id, result={"protocolVersion": params["protocolVersion"], "agentCapabilities": {}})


def new(id, params):
    assert os.path.isabs(params["cwd"]) and params["mcpServers"] == []
    session = fixed or f"s{os.getpid()}.{len(known)}"
    known.add(session)
    tell(id=id, result={"sessionId": session})


def load(id, params):
    session = params["sessionId"]
    if kept == "-" or not os.path.exists(file(session)):
        return fail(id, -32601, "Method not found")
    known.add(session)
    say(session, "an old word")
    tell(id=id, result=None)


def prompt(id, params):
    session, word = params["sessionId"], params["prompt"][0]["text"]
    if session not in known:
        return fail(id, -32602, "no such session")
    if word == "hang":
        waiting[session] = id
        return say(session, str(os.getpid()))
    if kept != "-":
        with open(file(session), "a") as words:
            words.write(word + " ")
        with open(file(session)) as words:
            say(session, f"{os.getpid()} {words.read().strip()}")
    else:
        say(session, f"{os.getpid()} {word}")
    tell(id=id, result={"stopReason": "end_turn"})


for line in sys.stdin:
    message = json.loads(line)
    method, id, params = message.get("method"), message.get("id"), message.get("params")
    if method == "initialize":
        initialize(id, params)
    elif not greeted:
        fail(id, -32600, "nobody greeted me")
    elif method == "session/new":
        new(id, params)
    elif method == "session/load":
        load(id, params)
    elif method == "session/prompt":
        prompt(id, params)
    elif method == "session/cancel":
        tell(id=waiting.pop(params["sessionId"]), result={"stopReason": "cancelled"})
    else:
        fail(id, -32601, "Method not found")
