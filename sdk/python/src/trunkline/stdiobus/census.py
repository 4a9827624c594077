"""The router's own counts, asked for once a second, so that they can be told without waiting."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from trunkline.stdiobus.errors import StdioBusError
from trunkline.stdiobus.router import RouterStatus

__all__ = ["PERIOD_SEC", "Census"]

PERIOD_SEC = 1.0
"""How old a count can be, but for the time of one question."""


class Census:
    """Keeps the latest :class:`RouterStatus`. It knows nothing until :meth:`begin` and after :meth:`end`."""

    def __init__(self, ask: Callable[[], Awaitable[RouterStatus]]) -> None:
        self._ask = ask
        self._task: asyncio.Task[None] | None = None
        self.latest = RouterStatus()

    async def begin(self) -> None:
        """Ask for the first time, and go on asking. A router that does not answer is asked again later."""
        self.end()
        await self._once()
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    def end(self) -> None:
        """Stop asking, and know nothing."""
        task, self._task = self._task, None
        self.latest = RouterStatus(
            worker_restarts=self.latest.worker_restarts, routing_errors=self.latest.routing_errors
        )
        if task is not None:
            # Its loop may be closed already.
            with contextlib.suppress(RuntimeError):
                task.cancel()

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(PERIOD_SEC)
            await self._once()

    async def _once(self) -> None:
        with contextlib.suppress(StdioBusError):
            self.latest = await self._ask()
