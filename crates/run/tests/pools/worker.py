"""A scripted worker: the prompt's words say what it does."""

import json
import os
import sys

waiting = {}  # session -> the id of a prompt that is not answered
asked = {}  # the id of a question -> the session that it is about


def tell(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def say(session, text):
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
    tell(method="session/update", sessionId=session, params={"sessionId": session, "update": update})


def done(session, **result):
    tell(id=waiting.pop(session), result=result)


def prompt(message):
    session, word = message["sessionId"], message["params"]["prompt"][0]["text"]
    assert message["params"]["sessionId"] == session, "the session is named on both levels"
    waiting[session] = message["id"]
    if word == "hang":
        say(session, str(os.getpid()))
    elif word == "ask":
        asked[f"q-{session}"] = session
        call = {"toolCallId": "t", "title": "Write a.txt", "kind": "edit"}
        options = [
            {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
            {"optionId": "no", "name": "No", "kind": "reject_once"},
        ]
        params = {"sessionId": session, "toolCall": call, "options": options}
        tell(id=f"q-{session}", method="session/request_permission", sessionId=session, params=params)
    elif word == "odd":
        print("no JSON", flush=True)
        tell(method="x/progress", sessionId=session, params={"percent": 5})
        asked["file"] = session
        tell(id="file", method="fs/read_text_file", sessionId=session, params={"path": "/a"})
    elif word == "fail":
        tell(id=waiting.pop(session), error={"code": -32603, "message": "it went wrong"})
    elif word == "who":
        say(session, message["_ext"]["identity"]["subjectId"])
        done(session)
    elif word == "grumble":
        print("a word on stderr", file=sys.stderr, flush=True)
        done(session)
    else:
        say(session, str(os.getpid()))
        done(session, stopReason="end_turn", usage={"inputTokens": 3, "outputTokens": 4, "totalTokens": 7})


for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "session/cancel":
        done(message["sessionId"], stopReason="cancelled")
    elif "method" in message:
        prompt(message)
    else:
        session = asked.pop(message["id"])
        answer = message.get("result", {}).get("outcome", {}).get("optionId")
        say(session, answer or str(message["error"]["code"]))
        done(session)
