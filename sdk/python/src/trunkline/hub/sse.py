"""Server-sent events, out of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Decoder", "ServerSentEvent", "TooLargeError"]

MOST = 64 << 20
"""No event of the daemon is larger."""


class TooLargeError(ValueError):
    """An event is larger than any the daemon sends."""


class ServerSentEvent(NamedTuple):
    """One event as it stood on the wire."""

    name: str
    data: str
    id: str | None


class Decoder:
    """Takes bytes as they come, gives events as they are complete."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0
        self._id: str | None = None
        self.retry: float | None = None
        """In how many seconds the daemon would like to see us again, if it said."""

    def push(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Take a chunk; give what it completes."""
        self._rest += chunk
        while (end := self._rest.find(b"\n", self._searched)) >= 0:
            line = bytes(self._rest[:end]).removesuffix(b"\r")
            del self._rest[: end + 1]
            self._searched = 0
            event = self._line(line)
            if event is not None:
                yield event
        self._searched = len(self._rest)
        if self._size + len(self._rest) > MOST:
            raise TooLargeError(f"an event is larger than {MOST >> 20} MiB")

    def _line(self, line: bytes) -> ServerSentEvent | None:
        if not line:
            return self._complete()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
        elif name == b"event":
            self._name = value.decode()
        elif name == b"id":
            self._id = value.decode()
        elif name == b"retry" and value.isdigit():
            self.retry = int(value) / 1000
        return None

    def _complete(self) -> ServerSentEvent | None:
        event = ServerSentEvent(self._name or "message", b"\n".join(self._data).decode(), self._id)
        complete = bool(self._data)
        self._name, self._data, self._size, self._id = "", [], 0, None
        return event if complete else None
