"""What a bus asks of the way to its router, and what all ways over a byte stream share."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

from trunkline.stdiobus.errors import TransportError
from trunkline.stdiobus.types import BusState, BusStats, ListenMode
from trunkline.stdiobus.wire import LineSplitter

__all__ = ["MAX_UNSENT_BYTES", "Backend", "StreamBackend", "Tail"]

logger = logging.getLogger("trunkline.stdiobus")

MAX_UNSENT_BYTES = 256 * 1024 * 1024
"""How much may wait to be taken by the router; beyond it ``send()`` says no. Requests wait long before that."""


class Backend(ABC):
    """A way to a router. Everything is called on the event loop that ``start()`` ran on.

    ``start()`` may be called again after the router was lost; the bus above decides whether that is wanted.
    """

    name: str = "unknown"

    @abstractmethod
    async def start(self) -> None:
        """Bring the router up and return when it takes messages.

        Raises:
            TransportError: it ended, or was not ready in time.
        """

    @abstractmethod
    async def stop(self, timeout_sec: float = 30.0) -> None:
        """End the router: politely, after ``timeout_sec`` by force. Nothing happens if it does not run."""

    @abstractmethod
    def send(self, message: str) -> bool:
        """Queue one message, with or without its newline. ``False``: it was not taken. Never blocks."""

    @abstractmethod
    def on_message(self, handler: Callable[[str], None]) -> None:
        """Have every line from the router given to ``handler``, in order."""

    @abstractmethod
    def on_close(self, handler: Callable[[TransportError], None]) -> None:
        """Have the loss of a running router told to ``handler``, with the reason."""

    @abstractmethod
    def get_state(self) -> BusState:
        """Return where the way is in its life."""

    @abstractmethod
    def get_stats(self) -> BusStats:
        """Return a copy of the counters."""

    @abstractmethod
    def destroy(self) -> None:
        """Let go of everything at once, by force where needed. Idempotent; allowed without a running loop."""

    def is_running(self) -> bool:
        """Tell whether messages are taken."""
        return self.get_state() == BusState.RUNNING

    @property
    def congested(self) -> bool:
        """Tell whether senders should wait for :meth:`drained`."""
        return False

    async def drained(self) -> None:
        """Wait until the router has taken enough of what was queued, or is gone."""
        return

    def tells_status(self) -> bool:
        """Tell whether the router that runs now answers ``stdio_bus/status`` itself."""
        return False

    def get_listen_mode(self) -> ListenMode:
        """Return what the router listens on for other clients, as far as this way can ask for it."""
        return ListenMode.NONE

    def get_worker_count(self) -> int:
        """Return how many workers run, or -1 where this way cannot know."""
        return -1

    def get_client_count(self) -> int:
        """Return how many clients the router has, or -1 where this way cannot know."""
        return -1


class Tail:
    """The last lines of a log, from bytes; each line is cut after 4096 characters."""

    def __init__(self, lines: int) -> None:
        self._lines: collections.deque[str] = collections.deque(maxlen=max(1, lines))
        self._splitter = LineSplitter(limit=1024 * 1024)

    def feed(self, data: bytes) -> list[str]:
        """Take bytes and return the lines that they complete."""
        lines = [line.decode("utf-8", "replace")[:4096] for line in self._splitter.feed(data)]
        self._lines.extend(lines)
        return lines

    def last(self, count: int = 20) -> str:
        """Return the last lines as one text."""
        return "\n".join(list(self._lines)[-count:])


class StreamBackend(Backend):
    """State, counters and lines, for ways that are a pair of byte streams."""

    def __init__(self) -> None:
        self._state = BusState.CREATED
        self._stats = BusStats()
        self._splitter = LineSplitter()
        self._message_handlers: list[Callable[[str], None]] = []
        self._close_handlers: list[Callable[[TransportError], None]] = []

    def on_message(self, handler: Callable[[str], None]) -> None:
        """See :meth:`Backend.on_message`."""
        self._message_handlers.append(handler)

    def on_close(self, handler: Callable[[TransportError], None]) -> None:
        """See :meth:`Backend.on_close`."""
        self._close_handlers.append(handler)

    def get_state(self) -> BusState:
        """See :meth:`Backend.get_state`."""
        return self._state

    def get_stats(self) -> BusStats:
        """See :meth:`Backend.get_stats`."""
        return dataclasses.replace(self._stats)

    def send(self, message: str) -> bool:
        """See :meth:`Backend.send`."""
        if self._state != BusState.RUNNING:
            return False
        data = (message if message.endswith("\n") else message + "\n").encode()
        if self._unsent() + len(data) > MAX_UNSENT_BYTES or not self._write(data):
            return False
        self._stats.messages_in += 1
        self._stats.bytes_in += len(data)
        return True

    @abstractmethod
    def _write(self, data: bytes) -> bool:
        """Queue bytes; ``False`` if the stream is closed."""

    @abstractmethod
    def _unsent(self) -> int:
        """Return how many queued bytes the router has not taken."""

    def _received(self, data: bytes) -> None:
        self._stats.bytes_out += len(data)
        for line in self._splitter.feed(data):
            self._stats.messages_out += 1
            text = line.decode("utf-8", "replace")
            for handler in self._message_handlers:
                handler(text)

    def _connected(self) -> None:
        self._state = BusState.RUNNING
        self._stats.client_connects += 1

    def _lost(self, reason: TransportError) -> None:
        """Take note that a running router is gone; where it was asked to go, nobody is told."""
        if self._state != BusState.RUNNING:
            return
        self._state = BusState.STOPPED
        self._stats.client_disconnects += 1
        logger.warning("%s", reason.message)
        for handler in self._close_handlers:
            with contextlib.suppress(Exception):
                handler(reason)
