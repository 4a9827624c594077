"""What our router counts beyond the original, and how the SDK finds out that it does.

Nothing is sent to find out: a router that does not know a message would hand it to a worker. The configuration asks
for it, under a key that the original overlooks, and the first line of the router's log says whether it is one that
knows.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["STATUS_METHOD", "RouterStatus", "asks_for_status", "is_ours", "with_status"]

STATUS_METHOD = "stdio_bus/status"

# The key of the configuration that switches it on. The original overlooks it.
_STATUS = "status"
# The original writes "stdio Bus kernel v0.1.0 starting on linux".
_OURS = re.compile(r"\bstdio_bus \d+\.\d+\.\d+ starting\b")
_RUNNING = ("up", "half-open")


@dataclass(frozen=True)
class RouterStatus:
    """What the router counts; see :meth:`AsyncStdioBus.status`. -1 is what it does not tell.

    ``workers`` are those that run, of all pools; ``pending`` are requests of all clients. ``worker_restarts`` and
    ``routing_errors`` count from the router's start on, the latter the errors it answered by itself. ``told`` is the
    whole answer, with every pool and worker.
    """

    workers: int = -1
    sessions: int = -1
    pending: int = -1
    clients: int = -1
    worker_restarts: int = 0
    routing_errors: int = 0
    told: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> RouterStatus:
        """Read the ``result`` of the answer."""
        workers = [worker for pool in told.get("pools", []) for worker in pool.get("workers", [])]
        return cls(
            workers=sum(worker.get("state") in _RUNNING for worker in workers),
            sessions=told.get("sessions", -1),
            pending=told.get("pending", -1),
            clients=told.get("clients", -1),
            worker_restarts=sum(worker.get("restarts", 0) for worker in workers),
            routing_errors=sum(told.get("errors", {}).values()),
            told=told,
        )


def with_status(config: dict[str, Any]) -> str:
    """Return a configuration as JSON that switches the status on."""
    return json.dumps({**config, _STATUS: True})


def asks_for_status(config_path: str | None, config_json: str | None) -> bool:
    """Tell whether a configuration switches it on; one that cannot be read does not, and the router says why."""
    try:
        text = Path(config_path).read_text("utf-8") if config_path else config_json or ""
        return json.loads(text).get(_STATUS) is True
    except (OSError, ValueError, AttributeError):
        return False


def is_ours(line: str) -> bool:
    """Tell whether a line of the log is the first line of our router."""
    return _OURS.search(line) is not None
