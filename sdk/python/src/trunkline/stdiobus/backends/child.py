"""One run of the router's binary: its pipes, its readiness, its end.

Everything is asyncio's own subprocess transport: no thread reads, no call blocks. stderr is always read, so that a
router which logs much never waits for us.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from trunkline.stdiobus.backends.base import Tail, logger
from trunkline.stdiobus.errors import TransportError
from trunkline.stdiobus.router import is_ours

__all__ = ["Child"]

# How long a router may take from its first word to being ready; the original SDK waits as long for any.
SPOKEN_START_SEC = 0.5
# How long the last output of a process may take to arrive after it is gone. Its workers may hold stderr open.
LAST_WORDS_SEC = 0.25

_READY = re.compile(r"\bready\b")
_STDIN, _STDOUT, _STDERR = 0, 1, 2


class Child(asyncio.SubprocessProtocol):
    """A process and its three pipes. ``gone`` is done once it exited or closed its stdout."""

    def __init__(self, on_output: Callable[[bytes], None], on_gone: Callable[[Child], None], tail: Tail) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_output = on_output
        self._on_gone = on_gone
        self._transport: asyncio.SubprocessTransport | None = None
        self._heard: asyncio.Future[None] = self._loop.create_future()
        self._first_word: asyncio.Future[None] = self._loop.create_future()
        self._stderr_ended: asyncio.Future[None] = self._loop.create_future()
        self._stdout_ended: asyncio.Future[None] = self._loop.create_future()
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.room: asyncio.Future[None] | None = None
        self.tail = tail
        self.is_ours = False
        self._ending = False

    async def spawn(self, command: Sequence[str], env: Mapping[str, str], descriptors: Sequence[int]) -> None:
        """Run a command.

        The child gets a session of its own: Ctrl-C reaches the program, which then stops the bus, and not the
        router under its feet.

        Raises:
            TransportError: it cannot be run.
        """
        try:
            await self._loop.subprocess_exec(
                lambda: self,
                *command,
                env=dict(env),
                pass_fds=tuple(descriptors),
                start_new_session=os.name == "posix",
            )
        except OSError as failed:
            raise TransportError(f"{command[0]} cannot be run: {failed.strerror or failed}") from failed

    async def wait_ready(self, timeout_sec: float) -> None:
        """Wait until the router says that it is ready, or answers something, or the time is over.

        A router that is not ours may never say so: half a second after its first word it is taken to be ready.

        Raises:
            TransportError: it ended instead; with its exit code and what it wrote to stderr.
        """
        deadline = self._loop.time() + timeout_sec
        signs = (self._heard, self.gone, self._first_word)
        await asyncio.wait(signs, timeout=timeout_sec, return_when=asyncio.FIRST_COMPLETED)
        left = max(0.0, deadline - self._loop.time())
        patience = left if self.is_ours else min(left, SPOKEN_START_SEC)
        await asyncio.wait(signs[:2], timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if self.gone.done():
            raise self.end("did not start")

    def end(self, what: str = "exited unexpectedly") -> TransportError:
        """Say how it ended, with its exit code and what it wrote last."""
        code, words = self.exit_code, self.tail.last()
        how = "closed its output" if code is None else f"{what}, {_told(code)}"
        message = f"stdio_bus process {how}" + (f"\n{words}" if words else "")
        return TransportError(message, {"exit_code": code, "stderr": words})

    def write(self, data: bytes) -> bool:
        """Queue bytes for its stdin; ``False`` if that is closed."""
        stdin = self._stdin()
        if stdin is None or stdin.is_closing():
            return False
        stdin.write(data)
        return True

    def unsent(self) -> int:
        """Return how many queued bytes it has not taken."""
        stdin = self._stdin()
        return stdin.get_write_buffer_size() if stdin is not None else 0

    def close_stdin(self) -> None:
        """Let it see the end of its stdin, after what is queued."""
        stdin = self._stdin()
        if stdin is not None:
            stdin.close()

    @property
    def exit_code(self) -> int | None:
        """The exit code, a signal as its negative number, ``None`` while it runs."""
        return self._transport.get_returncode() if self._transport is not None else None

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        if self._transport is None or self._transport.get_returncode() is not None:
            return None
        return self._transport.get_pid()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs. By hand and not through the transport, whose loop may be closed."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End it by force, without waiting."""
        number = signal.SIGKILL if os.name == "posix" else signal.SIGTERM
        self.signal(number)

    async def exited_within(self, seconds: float) -> bool:
        """Wait for its end, and tell whether it came."""
        await asyncio.wait((self.exited,), timeout=max(0.0, seconds))
        return self.exited.done()

    def close(self) -> None:
        """Let go of the pipes, and of the process by force. Idempotent; allowed after the loop was closed."""
        with contextlib.suppress(RuntimeError):
            _done(self.gone)
            self._widen()
        if self._transport is None:
            return
        if self.pid is not None:
            self.kill()
            # The loop's watcher collects the process, but the loop may be closed before it can say so, and then this
            # object would complain that its process still runs.
            self._transport.get_extra_info("subprocess").returncode = -signal.SIGKILL.value
        with contextlib.suppress(RuntimeError):
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; called by the loop."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take output; called by the loop."""
        if fd == _STDOUT:
            _done(self._heard)
            self._on_output(data)
            return
        _done(self._first_word)
        for line in self.tail.feed(data):
            logger.debug("%s", line)
            self.is_ours = self.is_ours or is_ours(line)
            if _READY.search(line):
                _done(self._heard)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Take note of the end of a pipe; called by the loop."""
        if fd == _STDIN:
            self._widen()
        elif fd == _STDERR:
            _done(self._first_word)
            _done(self._stderr_ended)
            if self._ending:
                self._watch_end()
        elif fd == _STDOUT:
            _done(self._stdout_ended)
            self._watch_end()

    def process_exited(self) -> None:
        """Take note of the exit; called by the loop."""
        _done(self.exited)
        self._watch_end()

    def pause_writing(self) -> None:
        """Begin a congestion; called by the loop when much is queued."""
        if self.room is None:
            self.room = self._loop.create_future()

    def resume_writing(self) -> None:
        """End a congestion; called by the loop when the queue has shrunk."""
        self._widen()

    def _stdin(self) -> asyncio.WriteTransport | None:
        if self._transport is None:
            return None
        return cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(_STDIN))

    def _widen(self) -> None:
        if self.room is not None:
            _done(self.room)
            self.room = None

    def _watch_end(self) -> None:
        """Call it the end once exit and last output are in, or one of them and a moment without the other."""
        if self.gone.done():
            return
        complete = self.exited.done() and self._stdout_ended.done() and self._stderr_ended.done()
        if complete:
            self._end()
        elif not self._ending:
            self._ending = True
            self._loop.call_later(LAST_WORDS_SEC, self._end)

    def _end(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)
            self._on_gone(self)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _told(code: int) -> str:
    if code >= 0:
        return f"code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"
