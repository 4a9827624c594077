"""The agents that the bus has seen."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

__all__ = ["Agents"]


class Agents:
    """Agents in the order in which they were first seen."""

    def __init__(self) -> None:
        self._agents: dict[Hashable, dict[str, Any]] = {}

    def register(self, agent_id: Any, metadata: Any, now: str) -> None:
        """Describe an agent; what was said of it before is replaced."""
        self.touch(agent_id, now)
        self._agents[agent_id]["metadata"] = metadata or {}

    def touch(self, agent_id: Any, now: str) -> None:
        """Note that an agent was seen."""
        agent = self._agents.get(agent_id)
        if agent is None:
            self._agents[agent_id] = {"agent_id": agent_id, "metadata": {}, "first_seen": now, "last_seen": now}
        else:
            agent["last_seen"] = now

    def list(self) -> list[dict[str, Any]]:
        """Return all of them."""
        return [dict(agent) for agent in self._agents.values()]
