"""One request, before it has an address."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

__all__ = ["SILENCE", "TIMEOUT", "Call", "drop_none", "query", "segment"]

TIMEOUT = 30.0
"""How long an ordinary answer may take, in seconds."""
SILENCE = 45.0
"""After this much silence a stream counts as dead: the daemon sends a sign of life every 15 s."""


@dataclass(frozen=True)
class Call:
    """What is asked for."""

    method: str
    path: str
    """Path and query."""
    body: Any = None
    """What becomes JSON; ``None`` for no body."""
    key: str | None = None
    """With a key the same call may be sent again: the daemon carries it out once."""
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = TIMEOUT

    @classmethod
    def get(cls, path: str) -> Call:
        """Read something."""
        return cls("GET", path)

    @classmethod
    def delete(cls, path: str) -> Call:
        """Remove something."""
        return cls("DELETE", path)

    @classmethod
    def post(cls, path: str, body: Any = None) -> Call:
        """Do something that is not repeated."""
        return cls("POST", path, body)

    @classmethod
    def command(cls, path: str, body: Any = None, key: str | None = None, method: str = "POST") -> Call:
        """Change something, once however often it is sent."""
        return cls(method, path, {} if body is None else body, key=uuid.uuid4().hex if key is None else key)

    @classmethod
    def stream(cls, path: str, headers: Mapping[str, str] | None = None) -> Call:
        """Open an event stream."""
        # As it comes: a compressor may hold an event back.
        wanted = {"accept": "text/event-stream", "accept-encoding": "identity", **(headers or {})}
        return cls("GET", path, headers=wanted, timeout=SILENCE)

    def patient(self, seconds: float) -> Call:
        """The same, for an answer that may take this much longer."""
        return replace(self, timeout=self.timeout + seconds)

    @property
    def may_repeat(self) -> bool:
        """Whether it may be sent again when nobody knows what became of it."""
        return self.key is not None or self.method == "GET"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def query(**params: str | int | None) -> str:
    """Return the query string of what is not ``None``."""
    given = {name: value for name, value in params.items() if value is not None}
    return "?" + urlencode(given, quote_via=quote, safe="-._~/:,") if given else ""


def segment(value: str | int) -> str:
    """Return a value as one segment of a path."""
    return quote(str(value), safe="")


def drop_none(**members: Any) -> dict[str, Any]:
    """Return the members that are said."""
    return {name: value for name, value in members.items() if value is not None}
