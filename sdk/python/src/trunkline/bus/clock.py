"""What time it is: one clock for lifetimes, one for stamps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

__all__ = ["Clock"]

_STEP = timedelta(microseconds=1)


def _utc() -> datetime:
    return datetime.now(timezone.utc)


class Clock:
    """Seconds that only grow, and the time of day. Both can be given, so that a test needs no patience."""

    def __init__(self, elapsed: Callable[[], float] = time.monotonic, now: Callable[[], datetime] = _utc) -> None:
        self.elapsed = elapsed
        self._now = now
        self._last = datetime.min.replace(tzinfo=timezone.utc)
        self._lock = threading.Lock()

    def stamp(self) -> str:
        """Return the time as text that sorts as time does. No two are alike, so that the latest is always one."""
        with self._lock:
            self._last = max(self._now(), self._last + _STEP)
            return self._last.isoformat()
