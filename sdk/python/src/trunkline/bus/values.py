"""Keys and values by namespace, with owners and lifetimes. Pure: the time is an argument."""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["Values"]


@dataclass(slots=True)
class _Entry:
    value: Any
    owner: Any
    deadline: float | None
    ticket: int


class Values:
    """A map for each namespace, in the order in which keys first came.

    What has expired is gone before anything is answered, so memory holds what lives, and nothing that is dead counts.
    Keys are told apart as Python does: ``1``, ``1.0`` and ``True`` are one key, ``"1"`` is another.
    """

    def __init__(self) -> None:
        self._spaces: dict[Hashable, dict[Hashable, _Entry]] = {}
        # (deadline, ticket, namespace, key), the next one first. An entry that was replaced leaves its row behind.
        self._due: list[tuple[float, int, Hashable, Hashable]] = []
        self._mortal = 0
        self._tickets = 0

    def put(self, key: Any, value: Any, owner: Any, namespace: Any, ttl: Any, now: float) -> None:
        """Store a value. It replaces value, owner and lifetime; a falsy ``ttl`` is none.

        Raises:
            TypeError: key or namespace cannot be one, or ``ttl`` is no number; nothing is stored.
        """
        self._evict(now)
        hash((key, namespace))
        deadline = _deadline(ttl, now)
        space = self._spaces.setdefault(namespace, {})
        self._tickets += 1
        old = space.get(key)
        if old is not None and old.deadline is not None:
            self._mortal -= 1
        space[key] = _Entry(value, owner, deadline, self._tickets)
        if deadline is not None:
            self._mortal += 1
            heapq.heappush(self._due, (deadline, self._tickets, namespace, key))
            self._compact()

    def get(self, key: Any, namespace: Any, now: float) -> Any:
        """Return a value, or ``None``."""
        self._evict(now)
        hash((key, namespace))
        entry = self._spaces.get(namespace, {}).get(key)
        return None if entry is None else entry.value

    def delete(self, key: Any, namespace: Any, now: float) -> bool:
        """Remove a key; tell whether there was one."""
        self._evict(now)
        hash((key, namespace))
        return self._remove(namespace, key)

    def keys(self, namespace: Any, owner: Any, now: float) -> list[Any]:
        """List the keys of a namespace; of one owner, unless that is ``None``."""
        self._evict(now)
        space = self._spaces.get(namespace, {})
        return [key for key, entry in space.items() if owner is None or entry.owner == owner]

    def all(self, namespace: Any, now: float) -> dict[Any, Any]:
        """Return a namespace."""
        self._evict(now)
        return {key: entry.value for key, entry in self._spaces.get(namespace, {}).items()}

    def clear(self, namespace: Any, now: float) -> int:
        """Empty a namespace; return how many keys it had."""
        self._evict(now)
        gone = self._spaces.pop(namespace, {})
        self._mortal -= sum(entry.deadline is not None for entry in gone.values())
        return len(gone)

    def transfer(self, old: Any, new: Any, keys: Iterable[Any] | None, namespace: Any, now: float) -> list[Any]:
        """Give keys to another owner: all of the old one's, or those that are named.

        Of these, the ones that belong to a third are passed over, and those that belong to nobody are not. Return
        what was given, in the order of the namespace.
        """
        self._evict(now)
        space = self._spaces.get(namespace, {})
        if keys is None:
            given = [key for key, entry in space.items() if entry.owner == old]
        else:
            named = set(keys)
            given = [key for key, entry in space.items() if key in named and entry.owner in (old, None)]
        for key in given:
            space[key].owner = new
        return given

    def _evict(self, now: float) -> None:
        """Forget what has expired: whatever's deadline lies before this moment."""
        while self._due and self._due[0][0] < now:
            _, ticket, namespace, key = heapq.heappop(self._due)
            entry = self._spaces.get(namespace, {}).get(key)
            if entry is not None and entry.ticket == ticket:
                self._remove(namespace, key)

    def _remove(self, namespace: Hashable, key: Hashable) -> bool:
        space = self._spaces.get(namespace, {})
        entry = space.pop(key, None)
        if entry is None:
            return False
        if entry.deadline is not None:
            self._mortal -= 1
        if not space:
            del self._spaces[namespace]
        return True

    def _compact(self) -> None:
        """Keep the rows of replaced entries fewer than those of living ones."""
        if len(self._due) > 2 * self._mortal + 64:
            self._due = [row for row in self._due if self._lives(row)]
            heapq.heapify(self._due)

    def _lives(self, row: tuple[float, int, Hashable, Hashable]) -> bool:
        _, ticket, namespace, key = row
        entry = self._spaces.get(namespace, {}).get(key)
        return entry is not None and entry.ticket == ticket


def _deadline(ttl: Any, now: float) -> float | None:
    if not ttl:
        return None
    deadline: float = now + ttl
    # Neither infinity nor what is no number ever comes.
    return deadline if deadline < math.inf else None
