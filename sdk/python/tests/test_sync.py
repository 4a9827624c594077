"""The bus whose calls wait, on the router under test."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from conftest import pool, scripted_router
from trunkline.stdiobus import (
    BusState,
    HelloParams,
    InvalidStateError,
    RequestOptions,
    StdioBus,
    StdioBusBuilder,
    StreamEvent,
    SubprocessOptions,
    TransportError,
)


@pytest.fixture
def bus(router: str) -> Iterator[StdioBus]:
    with StdioBus(pool(), subprocess=SubprocessOptions(binary_path=router)) as running:
        yield running


def test_requests_one_after_the_other(bus: StdioBus) -> None:
    assert [bus.request("echo", {"n": n})["echo"] for n in range(3)] == [{"n": n} for n in range(3)]
    assert bus.is_running()
    assert bus.get_state() is BusState.RUNNING
    assert bus.get_backend_type() == "subprocess"
    assert bus.get_stats().messages_in == 3


def test_requests_of_many_threads(bus: StdioBus) -> None:
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: bus.request("echo", {"n": n})["echo"]["n"], range(200)))
    assert answers == list(range(200))


def test_a_stream(bus: StdioBus) -> None:
    assert list(bus.stream_request("stream", {"chunks": ["a", "b"]})) == [
        StreamEvent("chunk", text="a"),
        StreamEvent("chunk", text="b"),
        StreamEvent("result", result={"done": True, "text": "ab"}),
    ]


def test_two_streams_at_once_and_one_left_early(bus: StdioBus) -> None:
    one = bus.stream_request("stream", {"chunks": ["a"], "key": "a"}, session_id="a")
    other = bus.stream_request("stream", {"chunks": ["b"], "key": "b"}, session_id="b")
    assert [next(one).text, next(other).text] == ["a", "b"]
    one.close()  # type: ignore[attr-defined]
    assert bus.get_pending_count() == 1
    bus.notify("release", {"key": "b"}, options=RequestOptions(session_id="b"))
    assert [event.result for event in other] == [{"done": True, "text": "b"}]


def test_notifications_come_between_calls(bus: StdioBus) -> None:
    told: queue.Queue[str] = queue.Queue()
    bus.on_notification(told.put)
    notifications = bus.subscribe_notifications(max_queue=2)
    bus.notify("hold", {"key": "k"})
    assert "holding" in told.get(timeout=5)
    assert next(notifications)["params"] == {"key": "k"}
    bus.request("tell", {"count": 5})
    assert [next(notifications)["params"]["number"] for _ in range(2)] == [0, 1]
    assert notifications.dropped == 3


def test_a_reader_that_waits_is_let_go(bus: StdioBus) -> None:
    closed, stopped = bus.subscribe_notifications(), bus.subscribe_notifications()
    with ThreadPoolExecutor(2) as threads:
        readers = [threads.submit(list, one) for one in (closed, stopped)]
        closed.close()
        assert readers[0].result(timeout=5) == []
        bus.stop()
        assert readers[1].result(timeout=5) == []


def test_a_handler_must_not_wait_for_its_own_bus(bus: StdioBus) -> None:
    caught: queue.Queue[Exception] = queue.Queue()

    def handler(_line: str) -> None:
        try:
            bus.request("echo")
        except InvalidStateError as error:
            caught.put(error)

    bus.on_notification(handler)
    bus.request("tell", {"count": 1})
    assert "own bus" in str(caught.get(timeout=5))


def test_a_worker_asks(bus: StdioBus) -> None:
    bus.on_request(lambda message: {"asked": message["method"]})
    assert bus.request("ask", {"method": "may-i"})["answer"] == {"asked": "may-i"}


async def test_inside_an_event_loop_too(bus: StdioBus) -> None:
    assert bus.request("echo", {"a": 1})["echo"] == {"a": 1}
    assert (await asyncio.to_thread(bus.request, "echo", {"a": 2}))["echo"] == {"a": 2}


def test_connect_hello_stop_destroy(router: str) -> None:
    bus = StdioBus(pool(), subprocess=SubprocessOptions(binary_path=router))
    assert bus.get_state() is BusState.CREATED
    assert bus.send("{}") is False
    hello = bus.connect(HelloParams())
    assert hello is not None
    assert bus.agent_session_id == "agent-1"
    bus.agent_session_id = "mine"
    assert bus.agent_session_id == "mine"
    begun = time.monotonic()
    bus.stop()
    assert time.monotonic() - begun < 1.0
    assert bus.get_state() is BusState.STOPPED
    with pytest.raises(InvalidStateError):
        bus.request("echo")
    bus.destroy()
    bus.destroy()
    bus.stop()
    with pytest.raises(InvalidStateError, match="destroyed"):
        bus.request("echo")


def test_the_thread_ends_with_the_bus(router: str) -> None:
    before = set(threading.enumerate())
    with StdioBus(pool(), subprocess=SubprocessOptions(binary_path=router)) as bus:
        bus.request("echo")
    left = [one.name for one in set(threading.enumerate()) - before if one.name.startswith("stdio-bus")]
    assert left == []


def test_a_stream_ends_with_the_bus(bus: StdioBus) -> None:
    events = bus.stream_request("stream", {"chunks": ["a"], "key": "k"})
    assert next(events).text == "a"
    bus.stop()
    with pytest.raises(TransportError, match="shutting down"):
        next(events)


def test_the_builder_makes_both(router: str) -> None:
    builder = StdioBusBuilder().config(pool()).backend("subprocess").timeout_ms(5000).reconnect(None)
    built = builder.subprocess(SubprocessOptions(binary_path=router))
    with built.build_sync() as bus:
        assert bus.request("echo", {"a": 1})["echo"] == {"a": 1}
    assert built.build().get_backend_type() == "subprocess"


def test_our_router_tells_its_counts() -> None:
    with StdioBus(pool(), subprocess=scripted_router("ours")) as bus:
        assert bus.status().workers == bus.get_worker_count() == 3
        counts: list[Any] = [bus.get_client_count(), bus.get_session_count(), bus.get_pending_count()]
        assert counts == [2, 5, 0]
