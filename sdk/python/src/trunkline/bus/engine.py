"""The bus itself: everything that it holds, and its operations by their names on the wire. Any thread may call."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from trunkline import __version__
from trunkline.bus.agents import Agents
from trunkline.bus.clock import Clock
from trunkline.bus.errors import BusError
from trunkline.bus.handoffs import Handoffs
from trunkline.bus.pattern import OWN
from trunkline.bus.receipts import Receipts
from trunkline.bus.topics import History, Signal, Subscriber, Topics, select
from trunkline.bus.values import Values

__all__ = ["DEFAULT", "OPERATIONS", "Engine", "Operation"]

DEFAULT = "default"
"""The namespace of whoever names none."""
EXTENSIONS = ["id", "unsubscribe", "wildcard", "transfers", "hello"]
"""What the wire has here beside the operations of the original."""

_log = logging.getLogger("trunkline.bus")


class Engine:
    """A bus in memory, with its handoffs in SQLite."""

    def __init__(self, db_path: str | PathLike[str] | None = None, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._lock = threading.Lock()
        self._values = Values()
        self._topics = Topics()
        self._history = History()
        self._agents = Agents()
        self._receipts = Receipts()
        self.servers: set[int] = set()
        """The threads that serve the bus to connections, none of which may be made to wait."""
        self.handoffs = Handoffs(db_path, self._clock.stamp)

    def perform(self, op: Any, given: Mapping[str, Any], size: int = 0) -> dict[str, Any]:
        """Do an operation of :data:`OPERATIONS` with the fields of a request; return those of its reply.

        Raises:
            BusError: there is no such operation.
            KeyError: a field is missing.
            Exception: whatever the operation raises; its text is fit to be told.
        """
        known = OPERATIONS.get(op) if isinstance(op, str) else None
        if known is None:
            raise BusError(f"unknown op: {op}")
        arguments = [given[name] for name in known.required]
        arguments += [given.get(name, default) for name, default in known.optional.items()]
        if known.strict:
            known.refuse_others(op, given)
        if known.whole:
            arguments.append(given)
        if known.sized:
            arguments.append(size)
        made = known.call(self, *arguments)
        if known.reply is None:
            return made if isinstance(made, dict) else {}
        return {known.reply: made}

    def put(self, key: Any, value: Any, agent: Any, namespace: Any, ttl: Any) -> None:
        """Store a value, and tell those who listen to its namespace."""
        hash(agent)  # before anything is stored
        with self._lock:
            self._values.put(key, value, agent, namespace, ttl, self._clock.elapsed())
            self._touch(agent)
            topic = f"{OWN}put.{namespace}"
            subscribers = self._topics.of(topic)
        if subscribers:
            _deliver(Signal(topic, {"key": key, "value": value, "agent": agent}, agent), subscribers)

    def get(self, key: Any, namespace: Any) -> Any:
        """Return a value, or ``None``."""
        with self._lock:
            return self._values.get(key, namespace, self._clock.elapsed())

    def delete(self, key: Any, namespace: Any) -> bool:
        """Remove a key."""
        with self._lock:
            return self._values.delete(key, namespace, self._clock.elapsed())

    def keys(self, namespace: Any, agent: Any) -> list[Any]:
        """List keys."""
        with self._lock:
            return self._values.keys(namespace, agent, self._clock.elapsed())

    def all(self, namespace: Any) -> dict[Any, Any]:
        """Return a namespace."""
        with self._lock:
            return self._values.all(namespace, self._clock.elapsed())

    def clear(self, namespace: Any) -> int:
        """Empty a namespace."""
        with self._lock:
            return self._values.clear(namespace, self._clock.elapsed())

    def restore(self, data: Any, namespace: Any) -> int:
        """Store many values, without owner and lifetime."""
        entries = list(data.items())
        for key, value in entries:
            self.put(key, value, None, namespace, None)
        return len(entries)

    def transfer(self, from_agent: Any, to_agent: Any, keys: Any, namespace: Any) -> dict[str, Any]:
        """Give keys to another agent; what was given has a receipt."""
        hash((from_agent, to_agent))
        with self._lock:
            given = self._values.transfer(from_agent, to_agent, keys, namespace, self._clock.elapsed())
            now = self._touch(from_agent, to_agent) or self._clock.stamp()
            if given:
                self._receipts.add(namespace, from_agent, to_agent, given, now)
        return {"transferred": len(given), "keys": given}

    def transfers(self, namespace: Any) -> list[dict[str, Any]]:
        """Return the receipts of a namespace, the oldest of them first."""
        with self._lock:
            return self._receipts.of(namespace)

    def publish(self, topic: Any, data: Any, agent: Any, size: int = 0) -> int:
        """Tell a topic's subscribers, then keep the signal; return how many were told."""
        if isinstance(topic, str) and topic.startswith(OWN):
            raise ValueError(f"topics that begin with {OWN!r} are the bus's own")
        with self._lock:
            subscribers = self._topics.of(topic)
        signal = Signal(topic, data, agent)
        _deliver(signal, subscribers)
        with self._lock:
            self._history.add(signal, self._clock.stamp(), size)
            if isinstance(agent, Hashable):
                self._touch(agent)
        return len(subscribers)

    def subscribe(self, topic: Any, subscriber: Subscriber) -> None:
        """Have a subscriber told of a topic, or of those of a pattern; once, however often this is asked for."""
        with self._lock:
            self._topics.subscribe(topic, subscriber)

    def unsubscribe(self, topic: Any, subscriber: Subscriber) -> bool:
        """End that; tell whether there was something to end."""
        with self._lock:
            return self._topics.unsubscribe(topic, subscriber)

    def subscribers(self, topic: Any) -> tuple[Subscriber, ...]:
        """Return who has subscribed to just this topic, or just this pattern."""
        with self._lock:
            return self._topics.to(topic)

    def signals(self, topic: Any, agent: Any, limit: Any, since: Any) -> list[dict[str, Any]]:
        """Return what was published lately."""
        with self._lock:
            rows = self._history.rows()
        return select(rows, topic, agent, limit, since)

    def register(self, agent_id: Any, metadata: Any) -> None:
        """Describe an agent."""
        with self._lock:
            self._agents.register(agent_id, metadata, self._clock.stamp())

    def agents(self) -> list[dict[str, Any]]:
        """Return all agents."""
        with self._lock:
            return self._agents.list()

    def save_session(self, agent_id: Any, *rest: Any) -> str:
        """Record a piece of work."""
        new = self.handoffs.save_session(agent_id, *rest)
        self._seen(agent_id)
        return new

    def update_session(self, session_id: Any, changes: dict[str, Any]) -> None:
        """Change a record."""
        self.handoffs.update_session(session_id, changes)

    def open_lane(self, session_id: Any, from_agent: Any, to_agent: Any, context: Any) -> str:
        """Open a lane."""
        new = self.handoffs.open_lane(session_id, from_agent, to_agent, context)
        self._seen(from_agent, to_agent)
        return new

    def checkpoint(self, session_id: Any, agent_id: Any, snapshot: Any, lane_id: Any) -> str:
        """Keep how far a session has come."""
        new = self.handoffs.checkpoint(session_id, agent_id, snapshot, lane_id)
        self._seen(agent_id)
        return new

    def close(self) -> None:
        """Close the database."""
        self.handoffs.close()

    def _seen(self, *agents: Any) -> None:
        with self._lock:
            self._touch(*agents)

    def _touch(self, *agents: Any) -> str | None:
        """Note that agents were seen, those that have a name; return when. Whoever calls holds the lock."""
        named = [agent for agent in agents if agent]
        if not named:
            return None
        now = self._clock.stamp()
        for agent in named:
            self._agents.touch(agent, now)
        return now


def _deliver(signal: Signal, subscribers: tuple[Subscriber, ...]) -> None:
    """Tell subscribers, outside the lock, so that one may call the bus."""
    for subscriber in subscribers:
        try:
            subscriber(signal)
        except Exception:
            _log.exception("a subscriber of %r failed", signal.topic)


@dataclass(frozen=True)
class Operation:
    """How an operation looks on the wire: its fields in the order in which they are looked at, and its reply's."""

    call: Callable[..., Any]
    required: tuple[str, ...] = ()
    optional: Mapping[str, Any] = field(default_factory=dict)
    reply: str | None = None
    """The field of the reply that holds what the call returns; without, the reply is the dictionary it returns."""
    strict: bool = False
    """Whether a field that is none of these is refused."""
    whole: bool = False
    """Whether the call gets the whole request too."""
    sized: bool = False
    """Whether it gets the size of the request's line."""
    stored: bool = False
    """Whether it touches the database, and so may have to wait for another process."""

    def refuse_others(self, op: str, given: Mapping[str, Any]) -> None:
        """Refuse fields that the operation does not have."""
        known = {"op", "id", *self.required, *self.optional}
        other = next((name for name in given if name not in known), None)
        if other is not None:
            raise TypeError(f"HandoffStore.{op}() got an unexpected keyword argument {other!r}")


def _handoff(name: str, *required: str, reply: str | None = None, **optional: Any) -> Operation:
    """Return an operation that the store does alone."""
    call = getattr(Handoffs, name)
    return Operation(lambda bus, *given: call(bus.handoffs, *given), required, optional, reply, stored=True)


_NS = {"namespace": DEFAULT}
_SESSION = dict.fromkeys(("repo", "status", "task_summary", "decisions", "files_touched", "todos", "metadata"))

OPERATIONS: dict[str, Operation] = {
    "ping": Operation(lambda _: True, reply="pong"),
    "hello": Operation(lambda _: {"server": "trunkline", "version": __version__, "extensions": EXTENSIONS}),
    "put": Operation(Engine.put, ("key",), {"value": None, "agent": None, **_NS, "ttl": None}),
    "get": Operation(Engine.get, ("key",), _NS, "value"),
    "delete": Operation(Engine.delete, ("key",), _NS, "deleted"),
    "keys": Operation(Engine.keys, (), {**_NS, "agent": None}, "keys"),
    "all": Operation(Engine.all, (), _NS, "data"),
    "snapshot": Operation(Engine.all, (), _NS, "data"),
    "clear": Operation(Engine.clear, (), _NS, "count"),
    "restore": Operation(Engine.restore, ("data",), _NS, "count"),
    "transfer": Operation(Engine.transfer, ("from_agent", "to_agent"), {"keys": None, **_NS}),
    "transfers": Operation(Engine.transfers, (), _NS, "transfers"),
    "publish": Operation(Engine.publish, ("topic",), {"data": None, "agent": None}, "count", sized=True),
    "signals": Operation(Engine.signals, (), {"topic": None, "agent": None, "limit": 50, "since": None}, "signals"),
    "register": Operation(Engine.register, ("agent_id",), {"metadata": None}),
    "agents": Operation(Engine.agents, reply="agents"),
    "save_session": Operation(
        Engine.save_session, ("agent_id",), {**_SESSION, "status": "active"}, "session_id", strict=True, stored=True
    ),
    "get_session": _handoff("get_session", reply="session", session_id=None, agent_id=None, repo=None),
    "list_sessions": _handoff("list_sessions", reply="sessions", agent_id=None, status=None, repo=None),
    "update_session": Operation(Engine.update_session, ("session_id",), whole=True, stored=True),
    "open_lane": Operation(
        Engine.open_lane, ("session_id", "from_agent", "to_agent"), {"context": None}, "lane_id", stored=True
    ),
    "get_lane": _handoff("get_lane", "lane_id", reply="lane"),
    "list_lanes": _handoff("list_lanes", reply="lanes", session_id=None),
    "close_lane": _handoff("close_lane", "lane_id"),
    "checkpoint": Operation(
        Engine.checkpoint, ("session_id", "agent_id", "snapshot"), {"lane_id": None}, "checkpoint_id", stored=True
    ),
    "list_checkpoints": _handoff("list_checkpoints", reply="checkpoints", session_id=None, lane_id=None),
}
"""All but ``subscribe`` and ``unsubscribe``, which are about who asks."""
