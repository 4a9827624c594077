"""The ways to a daemon: its Unix socket, else TCP.

Nothing is taken from the environment: a proxy there is not for a daemon on this machine, and would see the token.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from trunkline.hub.home import Origin

__all__ = ["UnixTransport", "async_way", "way"]

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)


def async_way(origin: Origin) -> httpx.AsyncClient:
    """Return connections to a daemon, for asyncio."""
    transport = httpx.AsyncHTTPTransport(uds=origin.socket, limits=LIMITS, trust_env=False)
    return httpx.AsyncClient(transport=transport, trust_env=False)


def way(origin: Origin) -> httpx.Client:
    """Return connections to a daemon, for threads."""
    if origin.socket is None:
        transport = httpx.HTTPTransport(limits=LIMITS, trust_env=False)
    else:
        transport = UnixTransport(origin.socket)
    return httpx.Client(transport=transport, trust_env=False)


class UnixTransport(httpx.HTTPTransport):
    """Goes by a Unix socket, and leaves nothing behind when it cannot be connected.

    httpcore's own way does not close that socket; a stream that waits for its daemon would pile them up.
    """

    def __init__(self, path: str) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore.ConnectionPool(
            uds=path,
            network_backend=_Backend(),
            max_connections=LIMITS.max_connections,
            max_keepalive_connections=LIMITS.max_keepalive_connections,
            keepalive_expiry=LIMITS.keepalive_expiry,
        )


class _Backend(httpcore.SyncBackend):
    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _translated(httpcore.ConnectTimeout, httpcore.ConnectError):
                for option in socket_options or ():
                    connection.setsockopt(*option)
                connection.settimeout(timeout)
                connection.connect(path)
        except BaseException:
            connection.close()
            raise
        return _Stream(connection)


class _Stream(httpcore.NetworkStream):
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _translated(httpcore.ReadTimeout, httpcore.ReadError):
            self._connection.settimeout(timeout)
            return self._connection.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _translated(httpcore.WriteTimeout, httpcore.WriteError):
            self._connection.settimeout(timeout)
            self._connection.sendall(buffer)

    def close(self) -> None:
        self._connection.close()

    def get_extra_info(self, info: str) -> Any:
        if info == "socket":
            return self._connection
        if info == "is_readable":
            # What is readable while nothing is asked is a connection that was closed.
            poll = select.poll()
            if self._connection.fileno() < 0:
                return True
            poll.register(self._connection, select.POLLIN)
            return bool(poll.poll(0))
        return None


@contextmanager
def _translated(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise late(error) from error
    except OSError as error:
        raise broken(error) from error
