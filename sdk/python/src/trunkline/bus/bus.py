"""A bus in this process, or one elsewhere that looks the same."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from trunkline.bus.client import BusClient
from trunkline.bus.clock import Clock
from trunkline.bus.dispatcher import Dispatcher
from trunkline.bus.engine import Engine
from trunkline.bus.operations import Callback, Operations
from trunkline.bus.pattern import wanted
from trunkline.bus.server import BusServer
from trunkline.bus.topics import Signal

__all__ = ["Bus"]

_LOOPBACK = "127.0.0.1"


class Bus(Operations):
    """Keys and values, topics, agents and handoffs, shared by the agents of a program or of a machine.

    ``Bus()`` lives in this process. ``Bus(serve=True)`` does too, and lets others in on ``127.0.0.1:port``; port 0 is
    any that is free, see :attr:`address`. ``Bus(connect="host:port")`` is the one that is served there.

    ``db_path`` is the file where handoffs are kept; without, they end with the bus. All else is in memory.
    ``timeout``, ``reconnect`` and ``token`` are those of :class:`BusClient`, and ``clock`` is what a test sets.

    Raises:
        ValueError: arguments that do not go together.
        OSError: the port is in use, or nobody listens there.
        sqlite3.Error: the file is no such database.
    """

    def __init__(
        self,
        serve: bool = False,
        connect: str | None = None,
        port: int = 9470,
        db_path: str | PathLike[str] | None = None,
        *,
        timeout: float | None = 30.0,
        reconnect: bool = False,
        token: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._to: BusClient | _Here
        self._server: BusServer | None = None
        if connect is not None:
            if serve:
                raise ValueError("a bus is served here or connected to, not both: give serve= or connect=")
            if db_path is not None:
                raise ValueError("the handoffs are kept where the bus is served; give db_path= there")
            self._to = BusClient(*_address(connect), timeout=timeout, reconnect=reconnect, token=token)
            return
        self._to = _Here(Engine(db_path, clock))
        if serve:
            self._server = BusServer(self, _LOOPBACK, port)
            try:
                self._server.start()
            except BaseException:
                self._to.close()
                raise

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of the bus, if it has any."""
        if isinstance(self._to, BusClient):
            return self._to.address
        return self._server.address if self._server else None

    @property
    def engine(self) -> Engine:
        """What a server serves.

        Raises:
            ValueError: the bus is elsewhere.
        """
        if isinstance(self._to, BusClient):
            raise ValueError("this bus is connected to another one; serve that one")  # noqa: TRY004 - no type is wrong
        return self._to.engine

    def ask(self, op: str, /, **fields: Any) -> dict[str, Any]:
        """Do an operation by its name on the wire; return the fields of its reply."""
        return self._to.ask(op, **fields)

    def subscribe(self, topic: Any, callback: Callback, *, wildcard: bool = False) -> None:
        """Have a function called with each signal of a topic: its topic, its data, its agent.

        With ``wildcard`` it is a pattern, such as ``build.*`` or ``build.>``. What is published in this process calls
        it there and then; what comes over a connection calls it on a thread of the bus. What it raises is logged.
        """
        self._to.subscribe(topic, callback, wildcard=wildcard)

    def unsubscribe(self, topic: Any, callback: Callback | None = None, *, wildcard: bool = False) -> None:
        """End a subscription; without a function, all that were made here to the topic."""
        self._to.unsubscribe(topic, callback, wildcard=wildcard)

    def close(self) -> None:
        """Stop serving, or disconnect, and close the database."""
        if self._server is not None:
            self._server.stop()
        self._to.close()


class _Here:
    """The bus of this process, as a client sees one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.dispatcher = Dispatcher("trunkline-bus-callbacks")

    def ask(self, op: str, /, **fields: Any) -> dict[str, Any]:
        return self.engine.perform(op, fields)

    def subscribe(self, topic: Any, callback: Callback, *, wildcard: bool = False) -> None:
        topic = wanted(topic, wildcard)
        self.dispatcher.add(topic, callback)
        self.engine.subscribe(topic, _Told(callback, self))

    def unsubscribe(self, topic: Any, callback: Callback | None = None, *, wildcard: bool = False) -> None:
        topic = wanted(topic, wildcard)
        self.dispatcher.remove(topic, callback)
        for subscriber in self.engine.subscribers(topic):
            if isinstance(subscriber, _Told) and callback in (None, subscriber.callback):
                self.engine.unsubscribe(topic, subscriber)

    def close(self) -> None:
        self.dispatcher.close()
        self.engine.close()


@dataclass(frozen=True)
class _Told:
    """A function as a subscriber; the same function is the same subscriber."""

    callback: Callback
    here: _Here = field(compare=False)

    def __call__(self, signal: Signal) -> None:
        """Call it, but not on a thread that serves connections, all of which would wait for it."""
        if threading.get_ident() in self.here.engine.servers:
            told = {"topic": signal.topic, "data": signal.data, "agent": signal.agent}
            self.here.dispatcher.push(told, sys.getsizeof(signal.data), self.callback)
        else:
            self.callback(signal.topic, signal.data, signal.agent)


def _address(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port``, ``[::1]:port`` or ``::1:port``."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        raise ValueError(f"{text!r} names no port: connect= wants host:port, such as {_LOOPBACK}:9470")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host or _LOOPBACK, int(port)
