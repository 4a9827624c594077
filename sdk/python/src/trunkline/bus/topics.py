"""Who listens to what, and what was said lately."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from trunkline.bus.codec import encode
from trunkline.bus.pattern import Pattern

__all__ = ["History", "Signal", "Subscriber", "Topics", "select"]


class Signal:
    """What a topic's subscribers get."""

    __slots__ = ("_line", "agent", "data", "topic")

    def __init__(self, topic: Any, data: Any, agent: Any) -> None:
        self.topic = topic
        self.data = data
        self.agent = agent
        self._line: bytes | None = None

    @property
    def line(self) -> bytes:
        """It on the wire, written once however many connections want it."""
        if self._line is None:
            self._line = encode({"event": "signal", "topic": self.topic, "data": self.data, "agent": self.agent})
        return self._line


Subscriber = Callable[[Signal], None]


class Topics:
    """The subscribers of each topic, and of patterns of them, in the order in which they came."""

    def __init__(self) -> None:
        self._topics: dict[Hashable, dict[Subscriber, None]] = {}
        self._patterns: dict[Pattern, dict[Subscriber, None]] = {}

    def subscribe(self, topic: Any, subscriber: Subscriber) -> None:
        """Add a subscriber; one that is there already stays where it is."""
        self._all(topic).setdefault(topic, {})[subscriber] = None

    def unsubscribe(self, topic: Any, subscriber: Subscriber) -> bool:
        """Remove a subscriber; tell whether it was one."""
        subscribers = self._all(topic).get(topic, {})
        was = subscriber in subscribers
        subscribers.pop(subscriber, None)
        if not subscribers:
            self._all(topic).pop(topic, None)
        return was

    def of(self, topic: Any) -> tuple[Subscriber, ...]:
        """Return who is to be told of a topic now; each of them once."""
        subscribers = self._topics.get(topic, {})
        matching = [some for pattern, some in self._patterns.items() if pattern.matches(topic)]
        if matching:
            subscribers = {**subscribers}
            for some in matching:
                subscribers.update(some)
        return tuple(subscribers)

    def to(self, topic: Any) -> tuple[Subscriber, ...]:
        """Return who has subscribed to just this topic, or just this pattern."""
        return tuple(self._all(topic).get(topic, ()))

    def _all(self, topic: Any) -> dict[Any, dict[Subscriber, None]]:
        return self._patterns if isinstance(topic, Pattern) else self._topics


class History:
    """The latest signals. Beyond ``count`` of them, or ``size`` bytes, the oldest are forgotten."""

    def __init__(self, count: int = 10_000, size: int = 64 * 1024 * 1024) -> None:
        self._count = count
        self._size = size
        self._rows: deque[tuple[dict[str, Any], int]] = deque()
        self._held = 0
        self._last = 0

    def add(self, signal: Signal, timestamp: str, size: int = 0) -> None:
        """Keep a signal. ``size`` is what it took on the wire; else it is estimated."""
        self._last += 1
        size = size or sys.getsizeof(signal.data)
        row = {
            "id": self._last,
            "topic": signal.topic,
            "data": signal.data,
            "agent_id": signal.agent,
            "timestamp": timestamp,
        }
        self._rows.append((row, size))
        self._held += size
        # The latest one stays, however large: whoever published it can see it.
        while len(self._rows) > 1 and (len(self._rows) > self._count or self._held > self._size):
            self._held -= self._rows.popleft()[1]

    def rows(self) -> list[dict[str, Any]]:
        """Return them, the oldest first."""
        return [row for row, _ in self._rows]


def select(rows: list[dict[str, Any]], topic: Any, agent: Any, limit: Any, since: Any) -> list[dict[str, Any]]:
    """Return the last ``limit`` signals of those that are asked for.

    0 is all of them, and a negative limit all but the first ones: both are what a slice makes of it.
    """
    if topic is not None:
        rows = [row for row in rows if row["topic"] == topic]
    if agent is not None:
        rows = [row for row in rows if row["agent_id"] == agent]
    if since is not None:
        rows = [row for row in rows if row["timestamp"] >= since]
    return [dict(row) for row in rows[-limit:]]
