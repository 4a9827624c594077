"""The agents that the bus has seen."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

__all__ = ["MAX_AGENTS", "Agents"]

MAX_AGENTS = 10_000
"""How many agents are remembered; beyond that, a tenth of them is forgotten, those that were not seen for longest."""


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
            self._forget()
        else:
            agent["last_seen"] = now

    def _forget(self) -> None:
        if len(self._agents) > MAX_AGENTS:
            by_time = sorted(self._agents, key=lambda agent_id: self._agents[agent_id]["last_seen"])
            for agent_id in by_time[: MAX_AGENTS // 10]:
                del self._agents[agent_id]

    def list(self) -> list[dict[str, Any]]:
        """Return all of them."""
        return [dict(agent) for agent in self._agents.values()]
