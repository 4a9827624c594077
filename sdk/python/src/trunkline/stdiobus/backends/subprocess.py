"""The router as a child process: NDJSON on its stdin and stdout, its log on stderr."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

from trunkline.stdiobus.backends.base import StreamBackend, Tail, logger
from trunkline.stdiobus.backends.binary import resolve_binary
from trunkline.stdiobus.backends.child import Child
from trunkline.stdiobus.errors import InvalidStateError, TransportError
from trunkline.stdiobus.router import asks_for_status
from trunkline.stdiobus.types import BusState, SubprocessOptions

__all__ = ["SubprocessBackend"]

# How long the end of stdin may take to end the router before it gets SIGTERM as well: not every router minds it.
EOF_GRACE_SEC = 0.1
KILL_WAIT_SEC = 2.0

_alive: weakref.WeakSet[SubprocessBackend] = weakref.WeakSet()


@atexit.register
def _end_orphans() -> None:
    """Not every router ends when its stdin does, so a program that forgets to stop one must not leave it behind."""
    for backend in tuple(_alive):
        backend.terminate()


class SubprocessBackend(StreamBackend):
    """A child process ``stdio_bus --config-fd N --stdio``, or with ``--config PATH``."""

    name = "subprocess"

    def __init__(
        self,
        config_path: str | None = None,
        config_json: str | None = None,
        options: SubprocessOptions | None = None,
    ) -> None:
        super().__init__()
        self._options = options or SubprocessOptions()
        self._asks_for_status = asks_for_status(config_path, config_json)
        self._config_path = config_path
        self._config_json = config_json
        self._child: Child | None = None

    async def start(self) -> None:
        """See :meth:`Backend.start`."""
        if self._state in (BusState.STARTING, BusState.RUNNING, BusState.STOPPING):
            raise InvalidStateError("the router already runs")
        binary = resolve_binary(self._options.binary_path)
        if binary is None:
            self._state = BusState.STOPPED
            raise TransportError(
                "no stdio_bus binary: put one on PATH, or name it in SubprocessOptions(binary_path=...)"
            )
        self._state = BusState.STARTING
        self._splitter.reset()
        self._child = child = Child(self._received, self._child_gone, Tail(self._options.stderr_buffer_lines))
        _alive.add(self)
        try:
            with _config_arguments(self._config_path, self._config_json) as (arguments, descriptors):
                environment = {**os.environ, **self._options.env}
                await child.spawn((binary, *arguments, "--stdio"), environment, descriptors)
                await child.wait_ready(self._options.start_timeout_sec)
        except BaseException:
            child.close()
            _alive.discard(self)
            self._state = BusState.STOPPED
            raise
        self._connected()

    async def stop(self, timeout_sec: float | None = None) -> None:
        """Close stdin, send SIGTERM to a router that does not mind, and SIGKILL when the time is over."""
        if self._state not in (BusState.STARTING, BusState.RUNNING) or self._child is None:
            return
        self._state = BusState.STOPPING
        self._stats.client_disconnects += 1
        seconds = self._options.drain_timeout_sec if timeout_sec is None else timeout_sec
        await self._end(self._child, seconds)
        self._child.close()
        _alive.discard(self)
        self._state = BusState.STOPPED

    def destroy(self) -> None:
        """See :meth:`Backend.destroy`."""
        self._state = BusState.STOPPED
        if self._child is not None:
            self._child.close()
        _alive.discard(self)
        self._message_handlers.clear()
        self._close_handlers.clear()

    def terminate(self) -> None:
        """Send SIGTERM to a router that still runs, without waiting."""
        if self._child is not None:
            self._child.signal(signal.SIGTERM)

    @property
    def congested(self) -> bool:
        """See :attr:`Backend.congested`."""
        return self._child is not None and self._child.room is not None

    async def drained(self) -> None:
        """See :meth:`Backend.drained`."""
        if self._child is not None and self._child.room is not None:
            either = (self._child.room, self._child.gone)
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    def tells_status(self) -> bool:
        """See :meth:`Backend.tells_status`."""
        return self._asks_for_status and self._child is not None and self._child.is_ours

    def get_stderr_tail(self, n: int = 20) -> str:
        """Return the last ``n`` lines that the router and its workers wrote to stderr."""
        return self._child.tail.last(n) if self._child is not None else ""

    @property
    def pid(self) -> int | None:
        """The router's process id, while it runs."""
        return self._child.pid if self._child is not None else None

    async def _end(self, child: Child, seconds: float) -> None:
        grace = min(EOF_GRACE_SEC, seconds)
        child.close_stdin()
        if await child.exited_within(grace):
            return
        child.signal(signal.SIGTERM)
        if await child.exited_within(seconds - grace):
            return
        logger.warning("stdio_bus did not end within %.1f s and is killed", seconds)
        child.kill()
        await child.exited_within(KILL_WAIT_SEC)

    def _write(self, data: bytes) -> bool:
        return self._child is not None and self._child.write(data)

    def _unsent(self) -> int:
        return self._child.unsent() if self._child is not None else 0

    def _child_gone(self, child: Child) -> None:
        if child is self._child and self._state == BusState.RUNNING:
            _alive.discard(self)
            reason = child.end()
            child.close()
            self._lost(reason)


@contextlib.contextmanager
def _config_arguments(path: str | None, text: str | None) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """Hand a configuration over. In memory it goes through an unlinked file: of any size, and nobody else's to read.

    The context lasts until the router has read it.
    """
    if text is None:
        yield ["--config", str(path)], ()
    elif os.name == "posix":
        with tempfile.TemporaryFile() as unlinked:
            unlinked.write(text.encode())
            unlinked.seek(0)
            yield ["--config-fd", str(unlinked.fileno())], (unlinked.fileno(),)
    else:
        # No descriptor can be passed there.
        with tempfile.TemporaryDirectory(prefix="stdio-bus-") as directory:
            file = Path(directory, "config.json")
            file.write_text(text, "utf-8")
            yield ["--config", str(file)], ()
