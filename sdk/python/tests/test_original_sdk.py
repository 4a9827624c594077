"""The PyPI SDK, unchanged, on the router under test."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import sys
import time
from typing import Any

import pytest
import stdiobus

from conftest import WORKER, soon


def bus_on(router: str, instances: int = 1, **options: Any) -> Any:
    """A bus of the original SDK."""
    workers = stdiobus.PoolConfig(id="pool", command=sys.executable, args=[WORKER], instances=instances)
    return stdiobus.AsyncStdioBus(
        config=stdiobus.BusConfig(pools=[workers]),
        backend="subprocess",
        subprocess=stdiobus.SubprocessOptions(binary_path=router),
        **options,
    )


async def test_eight_buses_on_one_loop(router: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        buses = [bus_on(router) for _ in range(8)]
        for bus in buses:
            stack.callback(bus.destroy)
        await asyncio.gather(*(bus.start() for bus in buses))
        for n in range(10):
            answers = await asyncio.gather(*(bus.request("echo", {"n": n}, timeout_ms=5000) for bus in buses))
            assert [answer["echo"]["n"] for answer in answers] == [n] * 8
        await asyncio.gather(*(bus.stop() for bus in buses))


async def test_a_bus_among_quiet_ones_is_heard(router: str) -> None:
    # The original reads with six threads on a small machine, and one that waits for a bus with nothing to say is not
    # there for another, unless the router sets it free.
    asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(6))
    async with contextlib.AsyncExitStack() as stack:
        buses = [bus_on(router) for _ in range(12)]
        for bus in buses:
            stack.callback(bus.destroy)
        await asyncio.gather(*(bus.start() for bus in buses))
        for n, bus in enumerate(reversed(buses)):
            answer = await bus.request("echo", {"n": n}, timeout_ms=5000)
            assert answer["echo"]["n"] == n
        await asyncio.gather(*(bus.stop() for bus in buses))


async def test_a_thousand_requests_at_once(router: str) -> None:
    async with bus_on(router, instances=2) as bus:
        requests = (bus.request("echo", {"n": n}, session_id=f"s{n % 10}", timeout_ms=10_000) for n in range(1000))
        answers = await asyncio.gather(*requests)
        assert [answer["echo"]["n"] for answer in answers] == list(range(1000))


async def test_stop_takes_a_moment(router: str) -> None:
    async with bus_on(router) as bus:
        await bus.request("echo")
        begun = time.monotonic()
        await bus.stop()
        assert time.monotonic() - begun < 1.0
        assert bus.get_state() == stdiobus.BusState.STOPPED


async def test_a_stream(router: str) -> None:
    async with bus_on(router) as bus:
        chunks = [f"{number} " for number in range(1000)]
        events = [event async for event in bus.stream_request("stream", {"chunks": chunks})]
        assert [event.text for event in events[:-1]] == chunks
        assert events[-1].result == {"done": True, "text": "".join(chunks)}


async def test_notifications(router: str) -> None:
    async with bus_on(router) as bus:
        pushed: list[str] = []
        bus.on_notification(pushed.append)
        notifications = bus.subscribe_notifications(max_queue=2000)
        assert await bus.request("tell", {"count": 1000}) == {"count": 1000}
        pulled = [(await anext(notifications))["params"]["number"] for _ in range(1000)]
        assert pulled == [json.loads(line)["params"]["number"] for line in pushed] == list(range(1000))


async def test_everything_a_request_can_carry_arrives(router: str) -> None:
    options = stdiobus.RequestOptions(
        session_id="mine",
        agent_id="agent",
        identity=stdiobus.Identity("user", "operator"),
        audit=stdiobus.AuditEvent("e", "a"),
    )
    async with bus_on(router) as bus:
        answer = await bus.request("echo", {"text": "grüße"}, options=options)
        assert answer["echo"] == {"text": "grüße"}
        assert (answer["sessionId"], answer["agentId"]) == ("mine", "agent")
        assert answer["_ext"]["identity"]["subjectId"] == "user"
        hello = await bus.hello(stdiobus.HelloParams())
        assert hello.session_id == "agent-1"


async def test_errors_of_a_worker(router: str) -> None:
    async with bus_on(router) as bus:
        with pytest.raises(stdiobus.PolicyDeniedError, match="not you"):
            await bus.request("fail", {"code": 7, "message": "not you"})
        with pytest.raises(stdiobus.TimeoutError):
            await bus.request("hold", {"key": "k"}, timeout_ms=50)
        await bus.notify("release", {"key": "k"})
        assert await bus.request("echo")


async def test_a_dead_worker_costs_an_error_at_once_and_is_replaced(router: str) -> None:
    async with bus_on(router) as bus:
        before = (await bus.request("echo"))["pid"]
        notifications = bus.subscribe_notifications()
        held = asyncio.ensure_future(bus.request("hold", {"key": "k"}))
        assert (await anext(notifications))["method"] == "holding"
        with pytest.raises(stdiobus.StdioBusError) as caught:
            await soon(bus.request("exit", {"code": 3}), 1.0)
        assert not isinstance(caught.value, stdiobus.TimeoutError)
        with pytest.raises(stdiobus.StdioBusError):
            await soon(held, 1.0)
        assert await pid_after(bus, before) != before


async def test_a_large_message_each_way(router: str) -> None:
    async with bus_on(router) as bus:
        filling = "x" * 900_000
        assert (await bus.request("echo", {"filling": filling}))["echo"] == {"filling": filling}


async def test_a_worker_asks(router: str) -> None:
    async with bus_on(router) as bus:

        def answer(line: str) -> None:
            message = json.loads(line)
            if message.get("method") == "may-i":
                home = {"id": message["id"], "sessionId": message["sessionId"]}
                bus.send(json.dumps({"jsonrpc": "2.0", "result": "yes", **home}))

        bus.on_message(answer)
        assert (await bus.request("ask", {"method": "may-i"}))["answer"] == "yes"


def test_the_sync_bus(router: str) -> None:
    bus = stdiobus.StdioBus(
        config=stdiobus.BusConfig(pools=[stdiobus.PoolConfig("pool", sys.executable, [WORKER])]),
        backend="subprocess",
        subprocess=stdiobus.SubprocessOptions(binary_path=router),
    )
    with bus:
        assert bus.request("echo", {"a": 1})["echo"] == {"a": 1}
        assert bus.is_running()


async def pid_after(bus: Any, before: int) -> int:
    """Ask until a worker answers that is not the one before."""
    deadline = time.monotonic() + 10
    while True:
        try:
            pid: int = (await bus.request("echo", timeout_ms=2000))["pid"]
        except stdiobus.StdioBusError:
            pid = before
        if pid != before or time.monotonic() > deadline:
            return pid
        await asyncio.sleep(0.01)
