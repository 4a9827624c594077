"""The life of the router under a bus: started once, started again when it was lost, ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from trunkline.stdiobus.backends import Backend
from trunkline.stdiobus.errors import InvalidStateError, TransportError
from trunkline.stdiobus.reconnect import ReconnectPolicy
from trunkline.stdiobus.types import BusState

__all__ = ["Lifeline"]

logger = logging.getLogger("trunkline.stdiobus")


class Lifeline:
    """Starts a backend again after a loss, as its policy says.

    ``on_lost`` is told every loss, ``on_again`` every return, ``on_end`` that there will be none.
    """

    def __init__(
        self,
        backend: Backend,
        policy: ReconnectPolicy | None,
        on_lost: Callable[[TransportError], None],
        on_again: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self._backend = backend
        self._policy = policy
        self._on_lost = on_lost
        self._on_again = on_again
        self._on_end = on_end
        self._recovery: asyncio.Task[None] | None = None
        self._reason: Exception | None = None
        self._attempt = 0
        self._up_since = 0.0
        self._begun = False
        backend.on_close(self._lost)

    async def start(self) -> None:
        """Start the backend, once in its life.

        Raises:
            InvalidStateError: it was started before.
            TransportError, UnavailableError: it does not come up; see :meth:`Backend.start`.
        """
        if self._begun:
            raise InvalidStateError("the bus was started before; make a new one")
        self._begun = True
        await self._backend.start()
        self._up_since = asyncio.get_running_loop().time()

    async def stop(self, timeout_sec: float) -> None:
        """End the backend, also in the middle of a recovery."""
        self._policy = None
        recovery, self._recovery = self._recovery, None
        if recovery is not None:
            recovery.cancel()
            await asyncio.wait((recovery,))
        await self._backend.stop(timeout_sec)

    def cut(self) -> None:
        """Give up any recovery at once, as the backend is about to be destroyed."""
        self._policy = None
        recovery, self._recovery = self._recovery, None
        if recovery is not None:
            # Its loop may be closed, and then there is nothing left to cancel.
            with contextlib.suppress(RuntimeError):
                recovery.cancel()

    def state(self) -> BusState:
        """Return the backend's state; between a loss and its end that is ``STARTING``."""
        return BusState.STARTING if self._recovery is not None else self._backend.get_state()

    def takes_calls(self) -> bool:
        """Tell whether the backend runs, or a lost one may come back."""
        return self._recovery is not None or self._backend.is_running()

    async def wait_up(self, unless: asyncio.Future[object]) -> None:
        """Wait until a lost router is back, or something else is done.

        Raises:
            TransportError: it will not come back.
        """
        while self._recovery is not None and not unless.done():
            await asyncio.wait((self._recovery, unless), return_when=asyncio.FIRST_COMPLETED)
        if not unless.done() and not self._backend.is_running():
            raise TransportError(getattr(self._reason, "message", str(self._reason or "Bus is shutting down")))

    def _lost(self, reason: TransportError) -> None:
        self._reason = reason
        self._on_lost(reason)
        if self._policy is None:
            self._on_end()
            return
        loop = asyncio.get_running_loop()
        if loop.time() - self._up_since >= self._policy.stable_after_sec:
            self._attempt = 0
        self._recovery = loop.create_task(self._recover(self._policy))

    async def _recover(self, policy: ReconnectPolicy) -> None:
        while True:
            self._attempt += 1
            delay = policy.delay_before(self._attempt)
            if delay is None:
                logger.error("the router was lost %d times and is given up", policy.max_attempts)
                self._recovery = None
                self._on_end()
                return
            await asyncio.sleep(delay)
            try:
                await self._backend.start()
            except Exception as failed:
                # Whatever it is, a full disk or too many open files among them, it may be over at the next attempt.
                logger.warning("attempt %d to start the router again: %s", self._attempt, failed)
                self._reason = failed
                continue
            self._up_since = asyncio.get_running_loop().time()
            self._recovery = None
            self._on_again()
            return
