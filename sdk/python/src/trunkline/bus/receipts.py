"""What was given to whom."""

from __future__ import annotations

from collections import deque
from typing import Any

__all__ = ["Receipts"]


class Receipts:
    """The latest transfers. Beyond ``count`` of them, or so many ``keys`` in them, the oldest are forgotten."""

    def __init__(self, count: int = 10_000, keys: int = 1_000_000) -> None:
        self._count = count
        self._keys = keys
        self._held = 0
        self._receipts: deque[tuple[Any, dict[str, Any]]] = deque()

    def add(self, namespace: Any, from_agent: Any, to_agent: Any, keys: list[Any], timestamp: str) -> None:
        """Keep one."""
        new = {"from_agent": from_agent, "to_agent": to_agent, "keys": list(keys), "timestamp": timestamp}
        self._receipts.append((namespace, new))
        self._held += len(keys)
        while len(self._receipts) > 1 and (len(self._receipts) > self._count or self._held > self._keys):
            self._held -= len(self._receipts.popleft()[1]["keys"])

    def of(self, namespace: Any) -> list[dict[str, Any]]:
        """Return those of a namespace, the oldest first."""
        return [{**one, "keys": list(one["keys"])} for where, one in self._receipts if where == namespace]
