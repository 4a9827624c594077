"""The client: threads, callbacks, pushes, and connections that end."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import pytest

from bus.original import OriginalServer
from bus.wire import PATIENCE, eventually
from hub.daemon import thread
from trunkline.bus import Bus, BusClient, BusError, BusServer
from trunkline.bus.dispatcher import Dispatcher


@pytest.fixture
def client(address: tuple[str, int]) -> Iterator[BusClient]:
    with BusClient(*address) as client:
        yield client


def until_lost(client: BusClient) -> None:
    while True:
        client.ask("ping")


class Scripted:
    """A server of one connection that says what the test tells it to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]

    def __enter__(self) -> Scripted:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self.sock.close()

    def accept(self) -> None:
        self.sock, _ = self._listener.accept()
        self.sock.settimeout(PATIENCE)
        self._lines = self.sock.makefile("rb")

    def hear(self) -> bytes:
        """Read a line; an empty one is the end."""
        # A client that goes with something unread ends hard.
        with contextlib.suppress(ConnectionResetError):
            return self._lines.readline()
        return b""

    def say(self, text: str) -> None:
        self.sock.sendall(text.encode() + b"\n")

    def end(self) -> None:
        self._lines.close()
        self.sock.close()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with Scripted() as scripted:
        yield scripted


def test_pushes_come_while_nobody_asks(client: BusClient, bus: Bus) -> None:
    heard: queue.Queue[Any] = queue.Queue()
    client.subscribe("t", lambda *said: heard.put(said))
    assert bus.publish("t", {"n": 1}, agent="me") == 1
    assert heard.get(timeout=PATIENCE) == ("t", {"n": 1}, "me")


def test_a_callback_may_call_the_client(client: BusClient, bus: Bus) -> None:
    heard: queue.Queue[Any] = queue.Queue()

    def hear(topic: Any, data: Any, agent: Any) -> None:
        client.put("seen", data)
        heard.put(client.get("seen"))
        client.unsubscribe(topic)

    client.subscribe("t", hear)
    bus.publish("t", 7)
    assert heard.get(timeout=PATIENCE) == 7
    eventually(lambda: bus.publish("t", 8) == 0)


def test_threads_share_a_client(client: BusClient) -> None:
    """Each gets what it asked for, while pushes come between."""
    pushed: queue.Queue[Any] = queue.Queue()
    client.subscribe("__bus__.put.default", lambda _topic, data, _agent: pushed.put(data["value"]))

    def work(number: int) -> None:
        for turn in range(500):
            client.put(number, [number, turn])
            assert client.get(number) == [number, turn]

    with contextlib.ExitStack() as stack:
        for number in range(8):
            stack.enter_context(thread(work, number))
    got = [pushed.get(timeout=PATIENCE) for _ in range(4000)]
    for number in range(8):
        assert [turn for who, turn in got if who == number] == list(range(500))


def test_what_a_callback_raises_is_logged(client: BusClient, bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    heard: queue.Queue[Any] = queue.Queue()

    def fail(*_: Any) -> None:
        raise LookupError("no such thing")

    for end in (client, bus):
        end.subscribe("t", fail)
        end.subscribe("t", lambda _topic, data, _agent: heard.put(data))
    with caplog.at_level(logging.ERROR, "trunkline.bus"):
        bus.publish("t", 1)
        assert [heard.get(timeout=PATIENCE), heard.get(timeout=PATIENCE)] == [1, 1]
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["no such thing"] * 2
    assert client.ping()


def test_what_comes_before_the_answer_is_not_lost(scripted: Scripted) -> None:
    heard: queue.Queue[Any] = queue.Queue()

    def serve() -> None:
        scripted.accept()
        scripted.hear()
        scripted.say('{"event": "signal", "topic": "t", "data": 1, "agent": null}')
        scripted.say('{"ok": true}')

    with thread(serve), BusClient(*scripted.address) as client:
        client.subscribe("t", lambda *said: heard.put(said))
        assert heard.get(timeout=PATIENCE) == ("t", 1, None)


def test_callbacks_come_and_go(client: BusClient, bus: Bus) -> None:
    heard: queue.Queue[Any] = queue.Queue()

    def one(_topic: Any, data: Any, _agent: Any) -> None:
        heard.put(("one", data))

    def two(_topic: Any, data: Any, _agent: Any) -> None:
        heard.put(("two", data))

    client.subscribe("t", one)
    client.subscribe("t", two)
    client.subscribe("t", one)
    assert bus.publish("t", 1) == 1
    assert [heard.get(timeout=PATIENCE), heard.get(timeout=PATIENCE)] == [("one", 1), ("two", 1)]
    client.unsubscribe("t", one)
    bus.publish("t", 2)
    assert heard.get(timeout=PATIENCE) == ("two", 2)
    client.unsubscribe("t", one)
    client.unsubscribe("t")
    client.unsubscribe("t")
    assert bus.publish("t", 3) == 0
    assert heard.empty()


def test_a_server_that_cannot_end_a_subscription_is_not_heard() -> None:
    heard: queue.Queue[Any] = queue.Queue()
    with OriginalServer() as server, BusClient(*server.address) as client:
        client.subscribe("t", heard.put)
        client.unsubscribe("t")
        client.subscribe("u", lambda _topic, data, _agent: heard.put(data))
        assert client.publish("t", 1) == 1
        assert client.publish("u", 2) == 1
        assert heard.get(timeout=PATIENCE) == 2
        with pytest.raises(BusError, match="unknown op: transfers"):
            client.transfers()


def test_lifetimes_are_sent(client: BusClient, bus: Bus) -> None:
    client.put("gone", 1, ttl=-1)
    client.put("kept", 1, ttl=3600)
    assert bus.keys() == ["kept"]


def test_every_refusal_is_raised(client: BusClient) -> None:
    refused: list[Callable[[], object]] = [
        lambda: client.put([], 1),
        lambda: client.delete([]),
        lambda: client.keys([]),
        lambda: client.publish([]),
        lambda: client.subscribe([], print),
        lambda: client.signals(limit=None),  # type: ignore[arg-type]
        lambda: client.restore([]),  # type: ignore[arg-type]
        lambda: client.get_session([1]),
        lambda: client.close_lane("no"),
    ]
    for ask in refused:
        with pytest.raises((BusError, TypeError)):
            ask()
    with pytest.raises(RuntimeError, match="FOREIGN KEY constraint failed"):
        client.open_lane("no", "a", "b")
    assert client.ping()


def test_an_answer_that_is_late_is_nobody_elses(scripted: Scripted) -> None:
    given_up = threading.Event()

    def serve() -> None:
        scripted.accept()
        scripted.hear()
        given_up.wait(PATIENCE)
        scripted.say('{"ok": true, "value": "late"}')
        while line := scripted.hear():
            scripted.say(json.dumps({"ok": True, "value": json.loads(line)["key"]}))

    with thread(serve), BusClient(*scripted.address, timeout=0.2) as client:
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"has not answered 'get' within 0\.2 s"):
            client.get("slow")
        assert time.monotonic() - began >= 0.2
        given_up.set()
        answered = 0
        while answered < 3:
            # A slow machine may be late again.
            with contextlib.suppress(TimeoutError):
                assert client.get(answered) == answered
                answered += 1


def test_threads_that_wait_are_told_of_the_end(scripted: Scripted) -> None:
    with BusClient(*scripted.address) as client:
        scripted.accept()

        def ask() -> None:
            with pytest.raises(ConnectionError, match="Server closed connection"):
                client.get("k")

        with thread(ask), thread(ask), thread(ask):
            for _ in range(3):
                scripted.hear()
            scripted.end()
        with pytest.raises(ConnectionError, match="Server closed connection"):
            client.ping()


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ("hello", "invalid JSON"),
        ("[]", "is no bus"),
        ('{"ok": true}\n{"ok": true}', "nobody asked for"),
    ],
)
def test_what_answers_is_no_bus(scripted: Scripted, said: str, match: str) -> None:
    def serve() -> None:
        scripted.accept()
        scripted.hear()
        scripted.say(said)
        scripted.hear()

    with thread(serve), BusClient(*scripted.address) as client, pytest.raises(ConnectionError, match=match):
        until_lost(client)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(
        ConnectionRefusedError, match=f"cannot connect to 127.0.0.1:{port}: .*; is a bus served there"
    ):
        BusClient(port=port)
    with pytest.raises(ValueError, match="no time for an answer"):
        BusClient(timeout=0)


def test_it_connects_again_and_subscribes_again() -> None:
    heard: queue.Queue[Any] = queue.Queue()
    with Bus() as bus:
        first = BusServer(bus, port=0)
        first.start()
        address = first.address
        with BusClient(*address, reconnect=True) as client:
            client.subscribe("t", lambda _topic, data, _agent: heard.put(data))
            client.subscribe("u", lambda _topic, data, _agent: heard.put(data))
            first.stop()
            with pytest.raises(ConnectionError):
                until_lost(client)
            with BusServer(bus, *address):
                eventually(lambda: bus.publish("t", 1) + bus.publish("u", 2) == 2)
                while heard.get(timeout=PATIENCE) != 2:
                    pass
                assert client.ping()


def test_without_reconnect_it_stays_lost() -> None:
    with Bus() as bus:
        server = BusServer(bus, port=0)
        server.start()
        with BusClient(*server.address) as client:
            client.subscribe("t", print)
            server.stop()
            with BusServer(bus, *client.address), pytest.raises(ConnectionError):
                until_lost(client)


def test_a_token_is_shown_first(scripted: Scripted) -> None:
    heard = []

    def serve(answer: str) -> None:
        scripted.accept()
        heard.append(json.loads(scripted.hear()))
        scripted.say(answer)
        while line := scripted.hear():
            heard.append(json.loads(line))
            scripted.say('{"ok": true, "pong": true}')
        scripted.end()

    with thread(serve, '{"ok": true, "principal": "bot"}'), BusClient(*scripted.address, token="t0ken") as client:
        assert client.ping()
    assert heard == [{"op": "auth", "token": "t0ken"}, {"op": "ping"}]
    refused = pytest.raises(BusError, match="this token opens nothing")
    with thread(serve, '{"ok": false, "error": "this token opens nothing"}'), refused:
        BusClient(*scripted.address, token="wrong")


def test_what_nests_too_deep_ends_nothing(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    heard: queue.Queue[Any] = queue.Queue()

    def serve() -> None:
        scripted.accept()
        for answer in (
            '{"ok": true}',
            f'{{"event": "signal", "topic": "t", "data": {deep}, "agent": null}}\n{{"ok": true, "value": {deep}}}',
            '{"event": "signal", "topic": "t", "data": 1, "agent": null}\n{"ok": true, "value": 2}',
        ):
            scripted.hear()
            scripted.say(answer)

    with thread(serve), BusClient(*scripted.address) as client, caplog.at_level(logging.WARNING, "trunkline.bus"):
        client.subscribe("t", lambda _topic, data, _agent: heard.put(data))
        with pytest.raises(BusError, match="nests deeper"):
            client.get("k")
        assert client.get("k") == 2
        assert heard.get(timeout=PATIENCE) == 1
    assert "is passed over" in caplog.text


def test_a_closed_client_says_so(address: tuple[str, int]) -> None:
    client = BusClient(*address)
    client.subscribe("t", print)
    client.close()
    client.close()
    for ask in (client.ping, lambda: client.subscribe("t", print)):
        with pytest.raises(ConnectionError, match="the client is closed"):
            ask()


def test_a_callback_may_close_the_client(address: tuple[str, int], bus: Bus) -> None:
    closed = threading.Event()
    client = BusClient(*address, reconnect=True)

    def hear(*_: Any) -> None:
        client.close()
        closed.set()

    client.subscribe("t", hear)
    bus.publish("t")
    assert closed.wait(PATIENCE)
    with pytest.raises(ConnectionError, match="the client is closed"):
        client.ping()


def test_no_thread_outlives_it(address: tuple[str, int]) -> None:
    heard = threading.Event()
    before = set(threading.enumerate())
    with BusClient(*address, reconnect=True) as client:
        client.subscribe("t", lambda *_: heard.set())
        client.publish("t")
        assert heard.wait(PATIENCE)
        # One reads, one calls.
        assert len(set(threading.enumerate()) - before) == 2
    assert set(threading.enumerate()) <= before


def test_an_answer_may_be_large(client: BusClient, bus: Bus) -> None:
    bus.put("k", "x" * 40_000_000)
    assert len(client.all()["k"]) == 40_000_000


def test_callbacks_that_are_too_slow_lose_signals_and_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    begun, go_on = threading.Event(), threading.Event()
    heard: queue.Queue[Any] = queue.Queue()

    def hear(_topic: Any, data: Any, _agent: Any) -> None:
        begun.set()
        go_on.wait(PATIENCE)
        heard.put(data)

    dispatcher = Dispatcher("test")
    dispatcher.add("t", hear)
    with caplog.at_level(logging.WARNING, "trunkline.bus"):
        dispatcher.push({"topic": "t", "data": 0}, 1)
        assert begun.wait(PATIENCE)
        for number in range(1, 11):
            dispatcher.push({"topic": "t", "data": number}, 16 * 1024 * 1024)
        go_on.set()
        assert [heard.get(timeout=PATIENCE) for _ in range(5)] == [0, 1, 2, 3, 4]
    dispatcher.close()
    assert heard.empty()
    assert [record.getMessage() for record in caplog.records][1:] == ["6 signals were dropped"]
