"""Waiting, in both worlds."""

from __future__ import annotations

import asyncio
import time

__all__ = ["AsyncPause", "Pause"]


class AsyncPause:
    """Lets others run meanwhile."""

    @staticmethod
    async def sleep(seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Pause:
    """Keeps the thread."""

    @staticmethod
    def sleep(seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
