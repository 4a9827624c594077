"""When a lost router is started again. Pure: the bus does the waiting."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_RECONNECT", "ReconnectPolicy"]


@dataclass(frozen=True)
class ReconnectPolicy:
    """How often, and how soon, a lost router is started again.

    The first attempt comes after ``first_delay_sec``, each further one after twice the delay before, up to
    ``max_delay_sec``. After ``max_attempts`` the bus is stopped. A router that ran for ``stable_after_sec`` has
    earned all attempts anew.
    """

    max_attempts: int = 5
    first_delay_sec: float = 0.05
    max_delay_sec: float = 5.0
    stable_after_sec: float = 10.0

    def delay_before(self, attempt: int) -> float | None:
        """Return the seconds before an attempt, counted from 1; ``None`` if there is none left."""
        if attempt > self.max_attempts:
            return None
        return min(self.max_delay_sec, self.first_delay_sec * 2.0 ** (attempt - 1))


DEFAULT_RECONNECT = ReconnectPolicy()
