"""What our router can do beyond the original, and how the SDK finds out.

Nothing is sent to find out: a router that does not know a message would hand it to a worker. The configuration asks
for the extensions, under a key that the original overlooks, and the first line of the router's log says whether it is
one that knows them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

__all__ = ["STATUS_METHOD", "RouterStatus", "Wishes", "is_ours", "with_wishes"]

STATUS_METHOD = "stdio_bus/status"

_KEY = "router"
_OURS = re.compile(r"\btrunkline\b", re.IGNORECASE)


@dataclass(frozen=True)
class Wishes:
    """Which extensions a configuration asks for."""

    status: bool = False
    streams: bool = False

    @classmethod
    def of(cls, config_path: str | None, config_json: str | None) -> Wishes:
        """Read them from a configuration; one that cannot be read asks for nothing, and the router says why."""
        try:
            text = Path(config_path).read_text("utf-8") if config_path else config_json or ""
            asked = json.loads(text)[_KEY]
            return cls(status=asked.get("status") is True, streams=asked.get("streams") is True)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return cls()


@dataclass(frozen=True)
class RouterStatus:
    """What the router counts; see :meth:`AsyncStdioBus.status`."""

    version: str = ""
    workers: int = -1
    sessions: int = -1
    pending: int = -1
    clients: int = -1
    worker_restarts: int = 0
    routing_errors: int = 0

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> RouterStatus:
        """Read the ``result`` of the answer; what it does not tell keeps its default."""
        known = {one.name: one.type for one in fields(cls)}
        return cls(**{name: told[name] for name in known if name in told})


def with_wishes(config: dict[str, Any]) -> str:
    """Return a configuration as JSON that asks for all extensions."""
    return json.dumps({**config, _KEY: {"status": True, "streams": True}})


def is_ours(line: str) -> bool:
    """Tell whether a line of the log is the first line of our router."""
    return _OURS.search(line) is not None
