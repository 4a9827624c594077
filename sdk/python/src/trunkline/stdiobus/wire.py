"""Bytes to lines, lines to meaning, calls to lines. Nothing here does I/O or knows a clock."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from trunkline.stdiobus.errors import StdioBusError, code_of, error_from_code
from trunkline.stdiobus.types import RequestOptions

__all__ = [
    "MAX_LINE_BYTES",
    "Answer",
    "Call",
    "Incoming",
    "LineSplitter",
    "Notification",
    "answer_line",
    "chunk_text",
    "message_line",
    "read",
]

MAX_LINE_BYTES = 256 * 1024 * 1024
"""The longest line that is kept. A longer one is dropped up to its newline and counted."""


class LineSplitter:
    r"""Cuts a stream of bytes into lines without their ``\n`` or ``\r\n``; empty lines are left out.

    The time is linear in the bytes, however they arrive: a line of 10 MB in pieces of 64 KB is joined once.
    """

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._held = 0
        self._dropping = False
        self.dropped = 0
        """How many lines were longer than the limit."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes and return the lines that they complete."""
        *ended, rest = data.split(b"\n")
        lines = []
        for part in ended:
            self._hold(part)
            line = b"".join(self._parts).removesuffix(b"\r")
            if line and not self._dropping:
                lines.append(line)
            self.reset()
        self._hold(rest)
        return lines

    def reset(self) -> None:
        """Forget an unfinished line, as when its connection is gone."""
        self._parts.clear()
        self._held = 0
        self._dropping = False

    def _hold(self, part: bytes) -> None:
        if not part or self._dropping:
            return
        self._held += len(part)
        if self._held > self._limit:
            self._parts.clear()
            self._dropping = True
            self.dropped += 1
            return
        self._parts.append(part)


@dataclass(frozen=True)
class Answer:
    """The end of a request of ours, good or bad."""

    id: str
    result: Any
    error: StdioBusError | None


@dataclass(frozen=True)
class Call:
    """A request of a worker, which waits for our answer. ``id`` is the JSON value as the worker wrote it."""

    id: Any
    message: dict[str, Any]


@dataclass(frozen=True)
class Notification:
    """Something a worker tells, and who it is about, as far as it says so."""

    message: dict[str, Any]
    request: str | None
    session: str | None
    agent_session: str | None
    named_by_worker: bool = False


Incoming = Answer | Call | Notification


def read(line: str) -> Incoming | None:
    """Say what a line means. ``None``: a JSON object that is none of the three.

    Raises:
        ValueError: the line is not a JSON object.
    """
    message = json.loads(line)
    if not isinstance(message, dict):
        # The line is at fault, not the caller's types.
        raise ValueError("a message is a JSON object")  # noqa: TRY004
    number = message.get("id")
    if "result" in message or "error" in message:
        return None if number is None else _answer(str(number), message)
    if "method" not in message:
        return None if number is None else Answer(str(number), None, None)
    if number is not None:
        return Call(number, message)
    return _notification(message)


def chunk_text(message: dict[str, Any]) -> str:
    """Return the text of an ``agent_message_chunk``, and ``""`` for everything else."""
    update = _at(message, "params", "update")
    if not isinstance(update, dict) or update.get("sessionUpdate") != "agent_message_chunk":
        return ""
    return _text(update, "content", "text") or ""


def message_line(
    method: str,
    params: dict[str, Any] | None,
    options: RequestOptions,
    session: str,
    request_id: str | None = None,
) -> str:
    """Write a request, or a notification if it has no id, without newline. What is empty is left out.

    Raises:
        TypeError: a parameter has no JSON form.
        ValueError: a parameter is NaN or infinite, which no other side could read.
    """
    message: dict[str, Any] = {"jsonrpc": "2.0"}
    if request_id is not None:
        message["id"] = request_id
    message["method"] = method
    if params:
        message["params"] = params
    message["sessionId"] = session
    if options.pool:
        message["pool"] = options.pool
    if options.agent_id:
        message["agentId"] = options.agent_id
    extensions: dict[str, Any] = {}
    if options.identity:
        extensions["identity"] = options.identity.to_dict()
    if options.audit:
        extensions["audit"] = options.audit.to_dict()
    if extensions:
        message["_ext"] = extensions
    return _dumps(message)


def answer_line(call: Call, result: Any, error: StdioBusError | None) -> str:
    """Write the answer to a worker's request. The worker's ``sessionId`` goes back with it: it is the way home."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": call.id}
    if error is None:
        message["result"] = result
    else:
        message["error"] = {"code": int(error.code), "message": error.message}
        if error.details is not None:
            message["error"]["data"] = error.details
    if "sessionId" in call.message:
        message["sessionId"] = call.message["sessionId"]
    return _dumps(message)


def _answer(number: str, message: dict[str, Any]) -> Answer:
    if "error" not in message:
        return Answer(number, message["result"], None)
    told = message["error"]
    if not isinstance(told, dict):
        return Answer(number, None, error_from_code(code_of(None), f"Unknown error: {told}"))
    words = told.get("message")
    error = error_from_code(
        code_of(told.get("code")), words if isinstance(words, str) else "Unknown error", told.get("data")
    )
    return Answer(number, None, error)


def _notification(message: dict[str, Any]) -> Notification:
    by_worker = _text(message, "params", "_meta", "requestId")
    return Notification(
        message,
        request=by_worker or _text(message, "requestId"),
        session=_text(message, "sessionId"),
        agent_session=_text(message, "params", "sessionId"),
        named_by_worker=by_worker is not None,
    )


def _at(value: Any, *path: str) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _text(value: Any, *path: str) -> str | None:
    found = _at(value, *path)
    return found if isinstance(found, str) and found else None


def _dumps(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"), allow_nan=False)
