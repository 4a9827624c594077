"""Notifications as an iterator, with a bounded queue per subscriber."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trunkline.stdiobus.types import OverflowPolicy

if TYPE_CHECKING:
    from trunkline.stdiobus.aio import AsyncStdioBus

__all__ = ["NotificationSubscription"]


class NotificationSubscription:
    """An async iterator over the notifications of a bus, made by ``subscribe_notifications()``.

    It holds at most ``max_queue`` of them, 0 or less meaning any number; what happens beyond is its ``overflow``.
    Subscriptions do not notice each other. When it is closed, by its owner, by ``overflow="close"`` or because
    the bus stopped, what is queued is still delivered and then the iteration ends.

    Use it from the bus's own event loop, with one reader.
    """

    __slots__ = ("_closed", "_limit", "_on_close", "_overflow", "_queued", "_waiter", "dropped")

    def __init__(self, owner: AsyncStdioBus, max_queue: int, overflow: OverflowPolicy) -> None:
        self._on_close: Callable[[NotificationSubscription], None] = owner._remove_subscription
        self._limit = max_queue
        self._overflow: OverflowPolicy = overflow
        self._queued: deque[dict[str, Any]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self.dropped = 0
        """How many notifications a full queue has lost."""

    def __aiter__(self) -> NotificationSubscription:
        return self

    async def __anext__(self) -> dict[str, Any]:
        while not self._queued:
            if self._closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._queued.popleft()

    def close(self) -> None:
        """End the subscription. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._on_close(self)
        self._wake()

    def _deliver(self, notification: dict[str, Any]) -> None:
        if self._closed:
            return
        if 0 < self._limit <= len(self._queued):
            self.dropped += 1
            if self._overflow == "close":
                self.close()
            return
        self._queued.append(notification)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
