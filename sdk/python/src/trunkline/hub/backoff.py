"""How long to wait before connecting again."""

from __future__ import annotations

import random

__all__ = ["Backoff"]

FIRST = 0.2
LEAST = 0.05
LONGEST = 10.0
_MOST_DOUBLINGS = 16


class Backoff:
    """Waits that double from 0.2 s, or from what the daemon asked for, to 10 s.

    Each is shortened by up to a half at random, so that many clients do not come back in step.
    """

    def __init__(self) -> None:
        self._failures = 0

    def next(self, hint: float | None = None) -> float:
        """Return the wait after one more failure, in seconds."""
        first = min(FIRST if hint is None else max(hint, LEAST), LONGEST)
        whole: float = min(first * 2 ** min(self._failures, _MOST_DOUBLINGS), LONGEST)
        self._failures += 1
        return whole / 2 + random.random() * whole / 2  # noqa: S311 - no secret

    def reset(self) -> None:
        """It worked: the next wait is the shortest again."""
        self._failures = 0
