"""One connection of a server: what it asked and has not been answered, what it is owed and has not been sent."""

from __future__ import annotations

import re
import socket
import threading
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from trunkline.bus.codec import BadLine, encode, request
from trunkline.bus.engine import OPERATIONS, Engine
from trunkline.bus.lines import Lines
from trunkline.bus.pattern import Pattern, wanted
from trunkline.bus.topics import Signal

__all__ = ["MAX_BACKLOG", "MAX_LINE", "Connection"]

MAX_LINE = 16 * 1024 * 1024
"""The longest line that is taken; a longer one is answered with an error, and passed over."""
MAX_BACKLOG = 8 * 1024 * 1024
"""How much a subscriber may leave unread before it is cut. The wire has no way to tell it what it missed."""
MAX_TOPICS = 10_000
"""How many topics one connection may subscribe to."""
MAX_PATTERNS = 100
"""How many patterns: each is looked at whenever something is published."""
_UNSENT = 1024 * 1024
"""With so many bytes unsent, no more of a connection's lines are looked at: who does not read need not ask."""
_READ = 64 * 1024
_BUFFERS = 256
"""How many lines are sent by one call; the system takes 1,024 at most."""
_TOO_LONG = f"line longer than {MAX_LINE} bytes"
_DONE = encode({"ok": True})
# What a browser sends when a page names this port, plain or by TLS. Nothing of it may be taken for a request, least
# of all what the page has put into it.
_BROWSER = re.compile(rb"[A-Za-z-]+ [^ ]+ HTTP/\d|\x16\x03")

Later = Callable[[Callable[[], None]], object]


class Connection:
    """Lines in, lines out. It is a subscriber, which any thread may call; all else is for the server's.

    Each line is answered with one, in order; what is pushed stands between answers, and that of a connection's own
    publishing before the answer to it.
    """

    def __init__(self, sock: socket.socket, peer: str, engine: Engine, wake: Callable[[Connection], None]) -> None:
        self.sock = sock
        self.peer = peer
        self.watched = 0
        """What of it the server's loop waits for."""
        self._engine = engine
        self._wake = wake
        self._lines = Lines(MAX_LINE)
        self._asked: deque[bytes | None] = deque()
        self._ended = False
        self._topics: set[Any] = set()
        # What follows is guarded by the lock. Each buffer goes with how much of it counts as backlog.
        self._lock = threading.Lock()
        self._owed: deque[tuple[bytes | memoryview, int]] = deque()
        self._unsent = 0
        self._backlog = 0
        self._woken = False
        self._elsewhere = False
        self._cut = False

    def __call__(self, signal: Signal) -> None:
        """Push a signal, or find that the other end does not read."""
        line = signal.line
        with self._lock:
            if self._cut:
                return
            if self._backlog and self._backlog + len(line) > MAX_BACKLOG:
                self._cut = True
            else:
                self._backlog += len(line)
                self._owe(line, len(line))
            woken, self._woken = self._woken, True
        if not woken:
            self._wake(self)

    @property
    def reads(self) -> bool:
        """Tell whether it is time to read more."""
        return not (self._ended or self._asked or self._elsewhere)

    @property
    def writes(self) -> bool:
        """Tell whether there is something to be sent."""
        return bool(self._owed)

    @property
    def over(self) -> bool:
        """Tell whether the other end has said its last, and has had its answers."""
        return self._ended and not (self._asked or self._elsewhere or self._owed)

    def read(self) -> None:
        """Take what has arrived.

        Raises:
            OSError: the connection is lost.
        """
        try:
            data = self.sock.recv(_READ)
        except BlockingIOError:
            return
        self._asked.extend(self._lines.feed(data) if data else self._lines.end())
        self._ended = not data

    def settle(self, later: Later) -> None:
        """Answer what may be answered and send what can be sent, until nothing moves.

        ``later`` is given what may have to wait; the answers after it wait with it.

        Raises:
            OSError: the connection is lost, or has to be ended.
        """
        if self._owed or self._cut:
            self._send()
        while self._asked and not self._elsewhere and self._unsent < _UNSENT:
            self._answer_some(later)
            self._send()

    def release(self) -> None:
        """End its subscriptions."""
        with self._lock:
            self._cut = True
        for topic in self._topics:
            self._engine.unsubscribe(topic, self)
        self._topics.clear()

    def _answer_some(self, later: Later) -> None:
        while self._asked and not self._elsewhere and self._unsent < _UNSENT:
            line = self._asked.popleft()
            if line is None:
                self._reply(_failure(_TOO_LONG))
                continue
            try:
                asked = request(line)
            except BadLine as bad:
                if _BROWSER.match(line):
                    raise ConnectionAbortedError("it is a browser") from None
                self._reply(_failure(str(bad)))
                continue
            if asked is not None:
                self._do(asked, len(line), later)

    def _do(self, asked: dict[str, Any], size: int, later: Later) -> None:
        op = asked.get("op", "")
        known = OPERATIONS.get(op) if isinstance(op, str) else None
        if known is None or not known.stored or not self._engine.handoffs.on_disk:
            self._reply(self._answer(asked, op, size))
            return
        self._elsewhere = True

        def answer() -> None:
            line = self._answer(asked, op, size)
            with self._lock:
                self._owe(line, 0)
                self._elsewhere = False
            self._wake(self)

        later(answer)

    def _answer(self, asked: dict[str, Any], op: Any, size: int) -> bytes:
        """Return the line that answers a request. An ``id`` in it comes back in the answer."""
        try:
            made = self._perform(asked, op, size)
            if not made and "id" not in asked:
                return _DONE
            return encode({"ok": True, **made, **({"id": asked["id"]} if "id" in asked else {})})
        except RecursionError:
            return _failure("what is stored there holds itself, or nests too deep", asked)
        except Exception as error:  # whatever a request brings about is its answer
            return _failure(str(error) or type(error).__name__, asked)

    def _perform(self, asked: dict[str, Any], op: Any, size: int) -> dict[str, Any]:
        if op == "subscribe":
            topic = wanted(asked["topic"], asked.get("wildcard"))
            if topic not in self._topics:
                self._check_room(topic)
            self._engine.subscribe(topic, self)
            self._topics.add(topic)
            return {}
        if op == "unsubscribe":
            topic = wanted(asked["topic"], asked.get("wildcard"))
            was = self._engine.unsubscribe(topic, self)
            self._topics.discard(topic)
            return {"unsubscribed": was}
        return self._engine.perform(op, asked, size)

    def _check_room(self, topic: Any) -> None:
        if len(self._topics) >= MAX_TOPICS:
            raise ValueError(f"a connection may subscribe to {MAX_TOPICS} topics")
        patterns = sum(isinstance(other, Pattern) for other in self._topics) if isinstance(topic, Pattern) else 0
        if patterns >= MAX_PATTERNS:
            raise ValueError(f"a connection may subscribe to {MAX_PATTERNS} patterns")

    def _reply(self, line: bytes) -> None:
        with self._lock:
            self._owe(line, 0)

    def _owe(self, line: bytes, backlog: int) -> None:
        self._owed.append((line, backlog))
        self._unsent += len(line)

    def _send(self) -> None:
        with self._lock:
            self._woken = False
            if self._cut:
                raise ConnectionAbortedError(f"it left {self._backlog} bytes unread")
            while self._owed:
                try:
                    if len(self._owed) == 1:
                        sent = self.sock.send(self._owed[0][0])
                    else:
                        sent = self.sock.sendmsg([line for line, _ in islice(self._owed, _BUFFERS)])
                except BlockingIOError:
                    return
                self._sent(sent)

    def _sent(self, sent: int) -> None:
        self._unsent -= sent
        while sent:
            line, backlog = self._owed[0]
            if sent < len(line):
                self._owed[0] = (memoryview(line)[sent:], backlog)
                return
            sent -= len(line)
            self._backlog -= backlog
            self._owed.popleft()


def _failure(text: str, asked: dict[str, Any] | None = None) -> bytes:
    reply = {"ok": False, "error": text}
    if asked and "id" in asked:
        reply["id"] = asked["id"]
    return encode(reply)
