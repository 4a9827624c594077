"""Waiting, in both worlds."""

from __future__ import annotations

import time

import anyio

__all__ = ["AsyncPause", "Pause"]


class AsyncPause:
    """Lets others run meanwhile, under asyncio or trio."""

    @staticmethod
    async def sleep(seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)


class Pause:
    """Keeps the thread."""

    @staticmethod
    def sleep(seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
