"""A bus, seen from one namespace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trunkline.bus.operations import Callback, Operations, Shared

__all__ = ["Workspace"]


class Workspace(Shared):
    """The namespace ``name`` of a bus. Topics, agents and handoffs are the bus's: they have no namespace."""

    def __init__(self, bus: Operations, name: Any) -> None:
        self.bus = bus
        self.name = name

    def ask(self, op: str, /, **fields: Any) -> dict[str, Any]:
        """Do an operation of the bus."""
        return self.bus.ask(op, **fields)

    def subscribe(self, topic: Any, callback: Callback, *, wildcard: bool = False) -> None:
        """Have a function called with each signal of a topic, or of a pattern."""
        self.bus.subscribe(topic, callback, wildcard=wildcard)

    def unsubscribe(self, topic: Any, callback: Callback | None = None, *, wildcard: bool = False) -> None:
        """End a subscription; without a function, all that were made on this bus to the topic."""
        self.bus.unsubscribe(topic, callback, wildcard=wildcard)

    def put(self, key: Any, value: Any = None, agent: Any = None, ttl: Any = None) -> None:
        """Store a value."""
        self.bus.put(key, value, agent, self.name, ttl)

    def get(self, key: Any) -> Any:
        """Return a value, or ``None``."""
        return self.bus.get(key, self.name)

    def delete(self, key: Any) -> bool:
        """Remove a key; tell whether there was one."""
        return self.bus.delete(key, self.name)

    def keys(self, agent: Any = None) -> list[Any]:
        """List the keys; those of one agent, if it is given."""
        return self.bus.keys(self.name, agent)

    def all(self) -> dict[Any, Any]:
        """Return everything in it."""
        return self.bus.all(self.name)

    def snapshot(self) -> dict[Any, Any]:
        """Return everything in it, for :meth:`restore`."""
        return self.bus.snapshot(self.name)

    def restore(self, data: Mapping[Any, Any]) -> int:
        """Store what :meth:`snapshot` returned; return how many values that are."""
        return self.bus.restore(data, self.name)

    def clear(self) -> int:
        """Empty it; return how many keys it had."""
        return self.bus.clear(self.name)

    def transfer(self, from_agent: Any, to_agent: Any, keys: Iterable[Any] | None = None) -> list[Any]:
        """Give keys to another agent; return those that were given."""
        return self.bus.transfer(from_agent, to_agent, keys, self.name)

    def transfers(self) -> list[dict[str, Any]]:
        """Return the receipts of its transfers, the oldest first."""
        return self.bus.transfers(self.name)
