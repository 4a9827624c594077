"""One connection of a client: requests go out under one lock, and what comes in is given to whoever waits for it."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from trunkline.bus.codec import BadLine, TooDeep, decode
from trunkline.bus.lines import Lines

__all__ = ["Link", "Waiting"]

MAX_LINE = 256 * 1024 * 1024
"""The longest line that is taken from a server: an answer can hold a whole namespace."""
MAX_WAITING = 65_536
"""How many requests may wait for their answers on one connection, those included that nobody waits for any more."""
_READ = 256 * 1024
_PUSH = b'{"event":'

_log = logging.getLogger("trunkline.bus")


class Waiting:
    """A request without an answer. What it holds is guarded by its link's lock."""

    __slots__ = ("_gate", "_woken", "error", "given_up", "over", "reply")

    def __init__(self) -> None:
        self.over = False
        self.given_up = False
        self.reply: dict[str, Any] = {}
        self.error: str | None = None
        self._woken = False
        # Nothing in Python wakes a thread faster than a lock.
        self._gate = threading.Lock()
        self._gate.acquire()

    def end(self, reply: dict[str, Any], error: str | None = None) -> None:
        """Say how it ended."""
        self.over, self.reply, self.error = True, reply, error
        self.wake()

    def wake(self) -> None:
        """Have whoever waits look around."""
        if not self._woken:
            self._woken = True
            self._gate.release()

    def look(self) -> None:
        """Take note of having been woken, also if that was after the time to sleep was over."""
        self._gate.acquire(blocking=False)
        self._woken = False

    def sleep(self, seconds: float) -> None:
        """Wait to be woken. Without the lock."""
        self._gate.acquire(timeout=seconds)


class Link:
    """A connection and those who wait on it. The wire has no ids: answers come in the order of the requests.

    Of those who wait, one reads for all, so that a thread that is alone need not wait for another to be woken.
    :meth:`watch` reads what comes while nobody waits.
    """

    def __init__(
        self, host: str, port: int, timeout: float | None, push: Callable[[dict[str, Any], int], None]
    ) -> None:
        self.name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self._sock = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise _unreachable(error, self.name) from error
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The system keeps the time, which saves asking it whether the socket is ready before each call.
        self._sock.settimeout(None)
        if timeout is not None:
            limit = struct.pack("@ll", int(timeout), int(timeout % 1 * 1_000_000))
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self.address: tuple[str, int] = self._sock.getpeername()[:2]
        self._push = push
        # Held by whoever reads; the lock may be taken while it is held, never the other way round.
        self._reading = threading.Lock()
        self._lines = Lines(MAX_LINE)
        # Held by whoever sends; it guards what follows.
        self._lock = threading.Lock()
        self._waiting: deque[Waiting] = deque()
        self._lost: str | None = None
        self._ending: str | None = None

    def ask(self, line: bytes, timeout: float | None) -> Waiting:
        """Send a request and wait for its end, which may not come in time. An answer that comes later is passed over.

        Raises:
            ConnectionError: the connection was lost before.
        """
        waiting = Waiting()
        try:
            self._send(line, waiting)
            self._wait(waiting, timeout)
        finally:
            waiting.given_up = True
            # Whoever sent before this read for all; whoever sends after it reads itself.
            if self._waiting:
                self._hand_over()
        return waiting

    def tell(self, line: bytes) -> None:
        """Send a request whose answer nobody waits for.

        Raises:
            ConnectionError: the connection was lost before.
        """
        waiting = Waiting()
        waiting.given_up = True
        self._send(line, waiting)

    def _send(self, line: bytes, waiting: Waiting) -> None:
        with self._lock:
            if self._lost is None and len(self._waiting) >= MAX_WAITING:
                self._lose(f"{self.name} has not answered the last {MAX_WAITING} requests")
            if self._lost is not None:
                raise ConnectionError(self._lost)
            self._waiting.append(waiting)
            try:
                self._sock.sendall(line)
            except BlockingIOError:
                self._lose(f"{self.name} does not take what is sent to it")
            except OSError as error:
                self._lose(f"the connection to {self.name} is lost: {error}")
            except BaseException:
                # Half a line may be out, and whatever is sent after it would be a part of it.
                self._lose(f"the connection to {self.name} was given up in the middle of a request")
                raise

    def _wait(self, waiting: Waiting, timeout: float | None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not waiting.over:
            if self._reading.acquire(blocking=False):
                try:
                    if not waiting.over:
                        self._read()
                finally:
                    self._reading.release()
            else:
                waiting.sleep(-1.0 if deadline is None else max(0.0, deadline - time.monotonic()))
                with self._lock:
                    waiting.look()
            if deadline is not None and time.monotonic() >= deadline:
                return

    def watch(self) -> None:
        """Read what comes while nobody waits, until the connection is lost; then close it."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        while self._lost is None:
            # Not as the one who reads: whoever asks something meanwhile is.
            poll.poll()
            with self._reading:
                self._read(socket.MSG_DONTWAIT)
            self._hand_over()
        self._sock.close()

    def end(self, why: str) -> None:
        """Give the connection up."""
        self._ending = why
        # Before the lock, which whoever sends may hold for as long as the other end does not read.
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._lose(why)

    def close(self) -> None:
        """Let go of a connection that was given up, and that nobody watches."""
        with self._reading, self._lock:
            self._sock.close()

    def _hand_over(self) -> None:
        """Have the next one read, if there is one."""
        with self._lock:
            for waiting in self._waiting:
                if not waiting.given_up:
                    waiting.wake()
                    return

    def _read(self, how: int = 0) -> None:
        """Take what comes; for a time limit's length nothing may. Whoever calls is the one who reads."""
        if self._lost is not None:
            return
        why = ""
        try:
            data = self._sock.recv(_READ, how)
            for line in self._lines.feed(data):
                self._take(line)
            if not data:
                why = "Server closed connection"
        except BlockingIOError:
            return
        except (OSError, BadLine) as error:
            why = str(error)
        if why:
            with self._lock:
                self._lose(f"{why} ({self.name})")

    def _take(self, line: bytes | None) -> None:
        if line is None:
            raise BadLine(f"a line of more than {MAX_LINE} bytes came")
        try:
            message = decode(line)
        except TooDeep:
            # Whoever can publish could end the connections of all who listen.
            if line.startswith(_PUSH):
                _log.warning("a signal from %s nests too deep, and is passed over", self.name)
            else:
                self._answered({"ok": False, "error": "the answer nests deeper than Python reads"})
            return
        if not isinstance(message, dict):
            raise BadLine("what answers is no bus: a line came that is no object")
        if "event" in message:
            self._push(message, len(line))
        else:
            self._answered(message)

    def _answered(self, reply: dict[str, Any]) -> None:
        with self._lock:
            if not self._waiting:
                raise BadLine("an answer came that nobody asked for")
            self._waiting.popleft().end(reply)

    def _lose(self, why: str) -> None:
        """Tell all who wait; whoever calls holds the lock."""
        if self._lost is not None:
            return
        self._lost = self._ending or why
        while self._waiting:
            self._waiting.popleft().end({}, self._lost)
        # Whoever reads wakes.
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


def _unreachable(error: OSError, name: str) -> OSError:
    """Return the error with a text that says who cannot be reached."""
    text = f"cannot connect to {name}: {error.strerror or error}; is a bus served there?"
    if isinstance(error, ConnectionError):
        return type(error)(error.errno, text)
    return ConnectionError(error.errno or 0, text)
