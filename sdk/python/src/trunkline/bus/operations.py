"""The methods of a bus, wherever it is: in this process, or behind a connection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar

__all__ = ["Callback", "Operations", "Shared"]

Callback = Callable[[Any, Any, Any], object]
"""What a subscription calls: with topic, data, and the agent that published."""

Self = TypeVar("Self", bound="Operations")


class Shared(ABC):
    """What has no namespace: topics, agents, handoffs."""

    @abstractmethod
    def ask(self, op: str, /, **fields: Any) -> dict[str, Any]:
        """Do an operation by its name on the wire; return the fields of its reply."""

    @abstractmethod
    def subscribe(self, topic: Any, callback: Callback, *, wildcard: bool = False) -> None:
        """Have a function called with each signal of a topic: its topic, its data, its agent.

        With ``wildcard`` it is a pattern, such as ``build.*`` or ``build.>``. ``__bus__.put.<namespace>`` is where
        the bus itself tells of each value that is put.
        """

    @abstractmethod
    def unsubscribe(self, topic: Any, callback: Callback | None = None, *, wildcard: bool = False) -> None:
        """End a subscription; without a function, all that were made here to the topic."""

    def publish(self, topic: Any, data: Any = None, agent: Any = None) -> int:
        """Tell a topic's subscribers; return how many there are."""
        count: int = self.ask("publish", topic=topic, data=data, agent=agent)["count"]
        return count

    def signals(
        self, topic: Any = None, agent: Any = None, limit: int = 50, since: Any = None
    ) -> list[dict[str, Any]]:
        """Return the last signals, the oldest of them first; ``since`` is a timestamp as they have.

        0 is all that are kept, the last 10,000 or 64 MiB.
        """
        found: list[dict[str, Any]] = self.ask("signals", topic=topic, agent=agent, limit=limit, since=since)[
            "signals"
        ]
        return found

    def register(self, agent_id: Any, metadata: Any = None) -> None:
        """Describe an agent; what was said of it before is replaced."""
        self.ask("register", agent_id=agent_id, metadata=metadata)

    def agents(self) -> list[dict[str, Any]]:
        """Return the agents that registered or did something, in the order in which they were first seen."""
        found: list[dict[str, Any]] = self.ask("agents")["agents"]
        return found

    def save_session(
        self,
        agent_id: Any,
        repo: Any = None,
        status: Any = "active",
        task_summary: Any = None,
        decisions: Any = None,
        files_touched: Any = None,
        todos: Any = None,
        metadata: Any = None,
    ) -> str:
        """Record a piece of work for whoever goes on with it; return its id."""
        made: str = self.ask(
            "save_session",
            agent_id=agent_id,
            repo=repo,
            status=status,
            task_summary=task_summary,
            decisions=decisions,
            files_touched=files_touched,
            todos=todos,
            metadata=metadata,
        )["session_id"]
        return made

    def get_session(self, session_id: Any = None, agent_id: Any = None, repo: Any = None) -> dict[str, Any] | None:
        """Return a session by its id, else the latest of an agent, in a repository if given, else of that."""
        found: dict[str, Any] | None = self.ask("get_session", session_id=session_id, agent_id=agent_id, repo=repo)[
            "session"
        ]
        return found

    def list_sessions(self, agent_id: Any = None, status: Any = None, repo: Any = None) -> list[dict[str, Any]]:
        """List sessions, the one that was changed last first."""
        found: list[dict[str, Any]] = self.ask("list_sessions", agent_id=agent_id, status=status, repo=repo)[
            "sessions"
        ]
        return found

    def update_session(self, session_id: Any, **changes: Any) -> None:
        """Change a session: status, task_summary, repo, decisions, files_touched, todos, metadata."""
        self.ask("update_session", session_id=session_id, **changes)

    def open_lane(self, session_id: Any, from_agent: Any, to_agent: Any, context: Any = None) -> str:
        """Open a lane from one agent to another; return its id."""
        lane = {"from_agent": from_agent, "to_agent": to_agent, "context": context}
        made: str = self.ask("open_lane", session_id=session_id, **lane)["lane_id"]
        return made

    def get_lane(self, lane_id: Any) -> dict[str, Any] | None:
        """Return a lane."""
        found: dict[str, Any] | None = self.ask("get_lane", lane_id=lane_id)["lane"]
        return found

    def list_lanes(self, session_id: Any = None) -> list[dict[str, Any]]:
        """List lanes, the latest first."""
        found: list[dict[str, Any]] = self.ask("list_lanes", session_id=session_id)["lanes"]
        return found

    def close_lane(self, lane_id: Any) -> None:
        """Close a lane."""
        self.ask("close_lane", lane_id=lane_id)

    def checkpoint(self, session_id: Any, agent_id: Any, snapshot: Any, lane_id: Any = None) -> str:
        """Keep how far a session has come; return the checkpoint's id."""
        fields = {"agent_id": agent_id, "snapshot": snapshot, "lane_id": lane_id}
        made: str = self.ask("checkpoint", session_id=session_id, **fields)["checkpoint_id"]
        return made

    def list_checkpoints(self, session_id: Any = None, lane_id: Any = None) -> list[dict[str, Any]]:
        """List checkpoints, the latest first."""
        found: list[dict[str, Any]] = self.ask("list_checkpoints", session_id=session_id, lane_id=lane_id)[
            "checkpoints"
        ]
        return found


class Operations(Shared):
    """All of it: what is shared, and keys and values by namespace."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def put(
        self, key: Any, value: Any = None, agent: Any = None, namespace: Any = "default", ttl: Any = None
    ) -> None:
        """Store a value; its owner is ``agent``, and it lives ``ttl`` seconds, for ever if that is 0 or ``None``."""
        self.ask("put", key=key, value=value, agent=agent, namespace=namespace, ttl=ttl)

    def get(self, key: Any, namespace: Any = "default") -> Any:
        """Return a value, or ``None``."""
        return self.ask("get", key=key, namespace=namespace)["value"]

    def delete(self, key: Any, namespace: Any = "default") -> bool:
        """Remove a key; tell whether there was one."""
        deleted: bool = self.ask("delete", key=key, namespace=namespace)["deleted"]
        return deleted

    def keys(self, namespace: Any = "default", agent: Any = None) -> list[Any]:
        """List the keys of a namespace; those of one agent, if it is given."""
        found: list[Any] = self.ask("keys", namespace=namespace, agent=agent)["keys"]
        return found

    def all(self, namespace: Any = "default") -> dict[Any, Any]:
        """Return a namespace."""
        found: dict[Any, Any] = self.ask("all", namespace=namespace)["data"]
        return found

    def snapshot(self, namespace: Any = "default") -> dict[Any, Any]:
        """Return a namespace, for :meth:`restore`."""
        found: dict[Any, Any] = self.ask("snapshot", namespace=namespace)["data"]
        return found

    def restore(self, data: Mapping[Any, Any], namespace: Any = "default") -> int:
        """Store what :meth:`snapshot` returned, without owners and lifetimes; return how many values that are."""
        count: int = self.ask("restore", data=data, namespace=namespace)["count"]
        return count

    def clear(self, namespace: Any = "default") -> int:
        """Empty a namespace; return how many keys it had."""
        count: int = self.ask("clear", namespace=namespace)["count"]
        return count

    def transfer(
        self, from_agent: Any, to_agent: Any, keys: Iterable[Any] | None = None, namespace: Any = "default"
    ) -> list[Any]:
        """Give keys of ``from_agent`` to another agent: all, or those that are named and belong to it or to nobody.

        Return those that were given. They have a receipt, see :meth:`transfers`.
        """
        named = None if keys is None else list(keys)
        asked = {"from_agent": from_agent, "to_agent": to_agent, "keys": named, "namespace": namespace}
        given: list[Any] = self.ask("transfer", **asked)["keys"]
        return given

    def transfers(self, namespace: Any = "default") -> list[dict[str, Any]]:
        """Return the receipts of a namespace's transfers, the oldest first: who gave which keys to whom, and when."""
        found: list[dict[str, Any]] = self.ask("transfers", namespace=namespace)["transfers"]
        return found
