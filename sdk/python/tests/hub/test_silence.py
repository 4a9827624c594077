"""Streams that say nothing, or nothing of use."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

import trunkline
from trunkline.hub._sync.stream import EventStream
from trunkline.hub._sync.transport import Transport
from trunkline.hub.cursor import SessionCursor
from trunkline.hub.home import Origin

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


@contextlib.contextmanager
def daemon(says: bytes, then: bytes) -> Iterator[Transport]:
    """Something that answers each request with an event stream: something first, then something again and again."""
    server = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(HEAD + says)
            while then and not over.is_set():
                connection.sendall(then)
            over.wait()

    talking: list[threading.Thread] = []

    def serve() -> None:
        while True:
            connection, _ = server.accept()
            if over.is_set():
                connection.close()
                return
            talking.append(threading.Thread(target=talk, args=(connection,)))
            talking[-1].start()

    serving = threading.Thread(target=serve)
    serving.start()
    transport = Transport(Origin(f"http://127.0.0.1:{server.getsockname()[1]}"), None)
    try:
        yield transport
    finally:
        transport.close()
        over.set()
        socket.create_connection(server.getsockname()).close()
        for thread in [serving, *talking]:
            thread.join()
        server.close()


def test_a_silent_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline.hub._sync.stream.SILENCE", 0.1)
    says = b'event: caught-up\ndata: {"head":2}\n\n'
    with daemon(says, b"") as transport, EventStream(transport, SessionCursor("s", 2, None)) as stream:
        items = [next(stream) for _ in range(4)]
    assert [item.type for item in items] == ["open", "caught-up", "lost", "open"]
    lost = items[2]
    assert isinstance(lost, trunkline.Lost)
    assert isinstance(lost.error, trunkline.TimedOutError)


@pytest.mark.parametrize("then", [b"", b": alive\n\n" * 1000])
def test_a_wait_ends_when_it_should(then: bytes) -> None:
    with daemon(b": hello\n\n", then) as transport:
        until = time.monotonic() + 0.3
        with EventStream(transport, SessionCursor("s", 0, None), until) as stream:
            assert {item.type for item in stream} == {"open"}
        assert 0 <= time.monotonic() - until < 10


def test_what_is_no_event_is_told() -> None:
    with daemon(b"data: {\n\n", b"") as transport:
        stream = EventStream(transport, SessionCursor("s", 0, None))
        assert next(stream).type == "open"
        with pytest.raises(trunkline.UnexpectedError, match="not understood"):
            next(stream)
        assert next(stream, None) is None
