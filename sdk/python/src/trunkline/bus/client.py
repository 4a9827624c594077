"""A bus behind a connection."""

from __future__ import annotations

import logging
import threading
from typing import Any

from trunkline.bus.codec import encode
from trunkline.bus.dispatcher import Dispatcher
from trunkline.bus.errors import BusError
from trunkline.bus.link import Link
from trunkline.bus.operations import Callback, Operations
from trunkline.bus.pattern import Pattern, wanted

__all__ = ["BusClient"]

_FIRST_S = 0.2
_LONGEST_S = 10.0
_GRACE_S = 5.0
"""How long closing waits for an attempt to connect that is under way."""
_UNKNOWN = "unknown op"

_log = logging.getLogger("trunkline.bus")


class BusClient(Operations):
    """A client of a bus on TCP. Threads may share it.

    ``timeout`` is how many seconds an answer may take; ``None`` waits for ever. With ``reconnect`` a lost connection
    is made again, after 0.2 s and then twice as long each time, 10 s at most, and its subscriptions with it; calls
    fail meanwhile. Callbacks run on one thread of the client, one after the other, and may call it. ``token`` is what
    is shown to a server that wants one.

    Raises:
        ValueError: the time limit is none.
        ConnectionError: nobody listens there; by every method: the connection is lost.
        TimeoutError: by every method: there is no answer yet. It may come, and is passed over then.
        BusError: by every method: the bus refused.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 9470,
        *,
        timeout: float | None = 30.0,
        reconnect: bool = False,
        token: str | None = None,
    ) -> None:
        if timeout is not None and timeout <= 0:
            raise ValueError(f"timeout={timeout} leaves no time for an answer; None waits for ever")
        self._to = (host, port)
        self._timeout = timeout
        self._reconnect = reconnect
        self._token = token
        self._dispatcher = Dispatcher(f"trunkline-bus-callbacks-{port}")
        self._link = self._connect()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None
        if reconnect:
            self._watch()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server."""
        return self._link.address

    def ask(self, op: str, /, **fields: Any) -> dict[str, Any]:
        """Do an operation by its name on the wire; return the fields of its reply."""
        return self._ask(self._link, op, fields)

    def _ask(self, link: Link, op: str, fields: dict[str, Any]) -> dict[str, Any]:
        waiting = link.ask(encode({**fields, "op": op}), self._timeout)
        if not waiting.over:
            raise TimeoutError(
                f"{link.name} has not answered {op!r} within {self._timeout} s; it may still do what was asked"
            )
        if waiting.error is not None:
            raise ConnectionError(waiting.error)
        reply = waiting.reply
        if reply.get("ok") is not True:
            raise BusError(str(reply.get("error")))
        return reply

    def ping(self) -> bool:
        """Ask whether the bus is there."""
        return self.ask("ping").get("pong") is True

    def subscribe(self, topic: Any, callback: Callback, *, wildcard: bool = False) -> None:
        """Have a function called with each signal of a topic: its topic, its data, its agent.

        With ``wildcard`` it is a pattern, such as ``build.*`` or ``build.>``.
        """
        target = wanted(topic, wildcard)
        if isinstance(target, Pattern):
            self._need_wildcard()
        self._watch()
        # First, so that what comes before the answer has somebody to go to.
        new = self._dispatcher.add(target, callback)
        try:
            self.ask("subscribe", **_named(target))
        except BaseException:
            if new:
                self._dispatcher.remove(target, callback)
            raise

    def unsubscribe(self, topic: Any, callback: Callback | None = None, *, wildcard: bool = False) -> None:
        """End a subscription; without a function, all of this client to the topic."""
        target = wanted(topic, wildcard)
        if not self._dispatcher.remove(target, callback):
            return
        try:
            self.ask("unsubscribe", **_named(target))
        except BusError as error:
            # A server that cannot end a subscription goes on pushing, and nobody is called.
            if not str(error).startswith(_UNKNOWN):
                raise

    def _need_wildcard(self) -> None:
        """Refuse what a server would take for a topic of that very name."""
        try:
            extensions = self.ask("hello").get("extensions", [])
        except BusError:
            extensions = []
        if "wildcard" not in extensions:
            raise BusError(f"the server at {self._link.name} knows no patterns; subscribe to each topic by its name")

    def close(self) -> None:
        """Disconnect. Idempotent; a callback may call it."""
        self._closed.set()
        self._link.end("the client is closed")
        with self._lock:
            watcher = self._watcher
        if watcher is None:
            self._link.close()
        else:
            watcher.join(_GRACE_S)
        self._dispatcher.close()

    def _connect(self) -> Link:
        link = Link(*self._to, self._timeout, self._dispatcher.push)
        if self._token is not None:
            try:
                self._ask(link, "auth", {"token": self._token})
            except BaseException:
                link.end("the server does not take the token")
                link.close()
                raise
        return link

    def _watch(self) -> None:
        """Have somebody read while nobody asks, from now on."""
        with self._lock:
            if self._watcher is None and not self._closed.is_set():
                name = f"trunkline-bus-reader-{self._to[1]}"
                self._watcher = threading.Thread(target=self._run, name=name, daemon=True)
                self._watcher.start()

    def _run(self) -> None:
        """Read from one connection after the other."""
        link: Link | None = self._link
        while link is not None:
            link.watch()
            link = self._again() if self._reconnect else None

    def _again(self) -> Link | None:
        """Connect again, however long it takes; nothing if the client is closed."""
        pause = _FIRST_S
        while not self._closed.wait(pause):
            pause = min(2 * pause, _LONGEST_S)
            try:
                link = self._connect()
            except (OSError, BusError) as error:
                _log.info("no connection yet: %s", error)
                continue
            self._link = link
            if self._closed.is_set():
                link.end("the client is closed")
            try:
                # Whoever subscribes from now on finds the new connection; twice is once.
                for target in self._dispatcher.topics():
                    link.tell(encode({"op": "subscribe", **_named(target)}))
            except ConnectionError as error:
                _log.info("%s", error)
            return link
        return None


def _named(target: Any) -> dict[str, Any]:
    """Return the fields that name a topic or a pattern."""
    return {"topic": target.text, "wildcard": True} if isinstance(target, Pattern) else {"topic": target}
