"""An event loop on a thread of its own, for callers that have none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from trunkline.stdiobus.errors import InvalidStateError

__all__ = ["LoopThread"]

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for other threads. The thread begins with the first one and ends with :meth:`close`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and return what it returns. An interrupt here cancels it there.

        Raises:
            InvalidStateError: it is closed, or called on that very thread by a handler, which would wait for itself.
        """
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._running())
        except InvalidStateError:
            work.close()
            raise
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    @property
    def started(self) -> bool:
        """Tell whether there is a loop."""
        return self._loop is not None

    def close(self) -> None:
        """Cancel what still runs and end the thread. Idempotent. From the thread itself, it ends a little later."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop, self._closed = None, True
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        if thread is not threading.current_thread():
            thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        if threading.current_thread() is self._thread:
            raise InvalidStateError("a handler must not wait for its own bus; use AsyncStdioBus, or another thread")
        with self._lock:
            if self._closed:
                raise InvalidStateError("the bus was destroyed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_work, args=(self._loop,), name=self._name, daemon=True)
                self._thread.start()
            return self._loop


def _work(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
