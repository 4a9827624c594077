"""A worker that does what a test tells it to, and waits only for the test.

Run as a program it is a worker of a router; `router.py` has it inside.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]


class Worker:
    """Answers by method; what is held is answered when it is released."""

    def __init__(self, emit: Callable[[Message], None]) -> None:
        self._emit = emit
        self._held: dict[str, tuple[Message, Any]] = {}
        self._asked: dict[str, Message] = {}

    def handle(self, message: Message) -> None:
        """Do one message, in order."""
        if "method" not in message:
            asker = self._asked.pop(str(message["id"]))
            self._answer(asker, {"answer": message.get("result"), "error": message.get("error")})
            return
        name = "do_" + message["method"].replace("/", "_")
        getattr(self, name, self._unknown)(message, message.get("params") or {})

    def do_echo(self, message: Message, params: Message) -> None:
        """Say back what was said, and by whom."""
        keys = ("sessionId", "agentId", "_ext", "pool")
        told = {key: message[key] for key in keys if key in message}
        self._answer(message, {"echo": params, "pid": os.getpid(), **told})

    def do_stdio_bus_hello(self, message: Message, params: Message) -> None:
        """Agree to everything."""
        agreed = {name: {"selected": one["version"], "active": True} for name, one in params["extensions"].items()}
        version = params["protocolVersion"]
        result = {"negotiatedProtocolVersion": version, "sessionId": "agent-1", "extensions": agreed}
        self._answer(message, result)

    def do_list(self, message: Message, params: Message) -> None:
        """Answer with what is no object."""
        self._answer(message, [params])

    def do_hold(self, message: Message, params: Message) -> None:
        """Answer when released, and say that the request is here."""
        self._held[params["key"]] = (message, {"held": params["key"]})
        self._tell(message, "holding", {"key": params["key"]})

    def do_release(self, _message: Message, params: Message) -> None:
        """Answer what is held."""
        self._answer(*self._held.pop(params["key"]))

    def do_stream(self, message: Message, params: Message) -> None:
        """Tell chunks, then answer, or hold the answer if there is a key."""
        for text in params["chunks"]:
            self._chunk(message, text, params.get("as"))
        if "key" in params:
            self._held[params["key"]] = (message, {"done": True})
        else:
            self._answer(message, {"done": True})

    def do_more(self, _message: Message, params: Message) -> None:
        """Tell one more chunk of a held stream."""
        self._chunk(self._held[params["key"]][0], params["text"], None)

    def do_tell(self, message: Message, params: Message) -> None:
        """Tell numbers, then answer."""
        for number in range(params["count"]):
            self._tell(message, "told", {"number": number})
        self._answer(message, {"count": params["count"]})

    def do_ask(self, message: Message, params: Message) -> None:
        """Ask the client, and answer with its answer."""
        number = f"ask-{len(self._asked)}"
        self._asked[number] = message
        asked = {"jsonrpc": "2.0", "id": number, "method": params["method"], "params": params.get("params", {})}
        self._emit({**asked, "sessionId": message["sessionId"]})

    def do_fail(self, message: Message, params: Message) -> None:
        """Answer with an error."""
        self._emit({"jsonrpc": "2.0", "id": message["id"], "error": params})

    def do_fill(self, message: Message, params: Message) -> None:
        """Answer with much."""
        self._answer(message, {"filling": "x" * params["bytes"]})

    def do_exit(self, _message: Message, params: Message) -> None:
        """End without an answer."""
        os._exit(params["code"])

    def do_mute(self, message: Message, params: Message) -> None:
        """Never answer."""

    def _unknown(self, message: Message, _params: Message) -> None:
        if "id" in message:
            error = {"code": -32601, "message": "Method not found"}
            self._emit({"jsonrpc": "2.0", "id": message["id"], "error": error})

    def _answer(self, message: Message, result: Any) -> None:
        if "id" in message:
            self._emit({"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _tell(self, message: Message, method: str, params: Message) -> None:
        told = {"jsonrpc": "2.0", "method": method, "params": params}
        self._emit({**told, "sessionId": message["sessionId"]})

    def _chunk(self, message: Message, text: str, request: str | None) -> None:
        content = {"type": "text", "text": text}
        params: Message = {"update": {"sessionUpdate": "agent_message_chunk", "content": content}}
        agent_session = (message.get("params") or {}).get("sessionId")
        if agent_session:
            params["sessionId"] = agent_session
        if request == "request":
            params["_meta"] = {"requestId": message["id"]}
        self._tell(message, "session/update", params)


def main() -> None:
    """Serve stdin until it ends."""

    def emit(message: Message) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    worker = Worker(emit)
    for line in sys.stdin:
        worker.handle(json.loads(line))


if __name__ == "__main__":
    main()
