"""A bus on TCP: one thread for all connections, so that none waits for another."""

from __future__ import annotations

import contextlib
import errno
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from trunkline.bus.connection import Connection
from trunkline.bus.errors import BusError

if TYPE_CHECKING:
    from trunkline.bus.bus import Bus

__all__ = ["BusServer"]

_BACKLOG = 4096
_ACCEPTS = 256
"""How many connections are taken before those that are there get their turn."""
_REST_S = 0.5
"""How long no connection is taken after the system had no room for one."""
_FULL = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

_log = logging.getLogger("trunkline.bus")


class BusServer:
    """Serves a bus to whoever connects. There is no authentication: keep it on the loopback interface."""

    def __init__(self, bus: Bus, host: str = "127.0.0.1", port: int = 9470) -> None:
        self._engine = bus.engine
        self._host = host
        self._port = port
        self._loop: _Loop | None = None

    def __enter__(self) -> BusServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on, or will be."""
        return self._loop.address if self._loop else (self._host, self._port)

    def start(self) -> None:
        """Listen, and serve on a thread of its own. Connections are taken when this returns.

        Raises:
            BusError: it has started before.
            OSError: the address cannot be listened on.
        """
        if self._loop is not None:
            raise BusError("the server has started already")
        listener = _listen(self._host, self._port)
        self._loop = _Loop(self, listener)
        self._loop.start()

    def stop(self) -> None:
        """End all connections, and stop listening. Idempotent."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()

    def serving(self, now: bool) -> None:
        """Note that this thread is one that serves, or is no more."""
        (self._engine.servers.add if now else self._engine.servers.discard)(threading.get_ident())

    def connected(self, sock: socket.socket, peer: str, wake: Callable[[Connection], None]) -> Connection:
        """Make a connection to the bus."""
        return Connection(sock, peer, self._engine, wake)


class _Loop(threading.Thread):
    """Serves from :meth:`start` to :meth:`stop`."""

    def __init__(self, server: BusServer, listener: socket.socket) -> None:
        super().__init__(name=f"trunkline-bus-{listener.getsockname()[1]}", daemon=True)
        self._server = server
        self._listener = listener
        self.address: tuple[str, int] = listener.getsockname()[:2]
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._rests_until = 0.0
        self._awake, self._waker = socket.socketpair()
        self._awake.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._awake, selectors.EVENT_READ)
        self._woken: deque[Connection] = deque()
        # What may wait for the database waits here, one after the other as the database does it anyway.
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="trunkline-bus-db")
        self._connections: set[Connection] = set()
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True
        self._signal()
        if threading.current_thread() is not self:
            self.join()

    def run(self) -> None:
        self._server.serving(True)
        try:
            while not self._stopping:
                for key, events in self._selector.select(self._patience()):
                    if isinstance(key.data, Connection):
                        self._turn(key.data, bool(events & selectors.EVENT_READ))
                    elif key.fileobj is self._listener:
                        self._accept()
                    else:
                        self._hear()
                # Not until there is none: whoever publishes may be faster than this, and others want their turns.
                for _ in range(len(self._woken)):
                    self._turn(self._woken.popleft(), readable=False)
        finally:
            self._end()
            self._server.serving(False)

    def _turn(self, connection: Connection, readable: bool) -> None:
        """Do what a connection can do now."""
        if connection not in self._connections:
            return
        try:
            if readable and connection.reads:
                connection.read()
            connection.settle(self._later)
            if connection.over:
                self._drop(connection)
            else:
                self._watch(connection)
        except OSError as error:
            log = _log.warning if isinstance(error, ConnectionAbortedError) else _log.debug
            log("%s is cut off: %s", connection.peer, error)
            self._drop(connection)
        except Exception:
            _log.exception("%s is cut off", connection.peer)
            self._drop(connection)

    def _later(self, answer: Callable[[], None]) -> None:
        self._helper.submit(answer)

    def _watch(self, connection: Connection) -> None:
        """Be told of what the connection waits for."""
        wanted = (selectors.EVENT_READ if connection.reads else 0) | (
            selectors.EVENT_WRITE if connection.writes else 0
        )
        if wanted == connection.watched:
            return
        if not connection.watched:
            self._selector.register(connection.sock, wanted, connection)
        elif not wanted:
            self._selector.unregister(connection.sock)
        else:
            self._selector.modify(connection.sock, wanted, connection)
        connection.watched = wanted

    def _drop(self, connection: Connection) -> None:
        self._connections.discard(connection)
        connection.release()
        if connection.watched:
            self._selector.unregister(connection.sock)
        connection.sock.close()
        self._listen_again()

    def _accept(self) -> None:
        for _ in range(_ACCEPTS):
            try:
                sock, peer = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _FULL:
                    _log.warning("no connection can be taken for now: %s", error)
                    self._rests_until = time.monotonic() + _REST_S
                    self._selector.unregister(self._listener)
                    return
                continue  # it went before it was taken
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            except OSError:
                sock.close()  # it has gone already
                continue
            connection = self._server.connected(sock, f"{peer[0]}:{peer[1]}", self._wake)
            self._connections.add(connection)
            self._watch(connection)

    def _patience(self) -> float | None:
        """Return how long nothing need be looked after; take connections again when it is time."""
        if self._woken:
            return 0.0
        if not self._rests_until:
            return None
        left = self._rests_until - time.monotonic()
        if left > 0:
            return left
        self._listen_again()
        return None

    def _listen_again(self) -> None:
        if self._rests_until and not self._stopping:
            self._rests_until = 0.0
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _wake(self, connection: Connection) -> None:
        """Have a connection's turn come; any thread may call."""
        self._woken.append(connection)
        if threading.current_thread() is not self:
            self._signal()

    def _signal(self) -> None:
        # A full pipe wakes as well, and a closed one has nobody to wake.
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._awake.recv(4096):
                pass

    def _end(self) -> None:
        self._helper.shutdown(wait=True, cancel_futures=True)
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()
        for sock in (self._listener, self._awake, self._waker):
            sock.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            text = f"{host}:{port} is in use; is a bus served there already? Port 0 is any that is free"
            raise OSError(error.errno, text) from None
        raise
    listener.setblocking(False)
    return listener
