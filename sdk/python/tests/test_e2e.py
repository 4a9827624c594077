"""The async bus on the router under test, with real workers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import pytest

from conftest import WORKER, pool, real, running, soon
from trunkline.stdiobus import (
    AsyncStdioBus,
    AuditEvent,
    BusConfig,
    BusState,
    ExtensionInfo,
    HelloParams,
    Identity,
    InternalError,
    NegotiationFailedError,
    PolicyDeniedError,
    PoolConfig,
    RequestOptions,
    StreamEvent,
    SubprocessOptions,
    TransportError,
)
from trunkline.stdiobus import TimeoutError as BusTimeoutError


async def test_a_request_and_its_answer(router: str) -> None:
    async with running(real(router)) as bus:
        answer = await bus.request("echo", {"text": "grüße"})
        assert answer["echo"] == {"text": "grüße"}
        assert answer["sessionId"] == bus.client_session_id
        assert await bus.request("list", {"a": 1}) == [{"a": 1}]


async def test_everything_a_request_can_carry_arrives(router: str) -> None:
    identity, audit = Identity("user", "operator"), AuditEvent("e1", "ask")
    options = RequestOptions(session_id="mine", agent_id="agent", identity=identity, audit=audit)
    async with running(real(router)) as bus:
        answer = await bus.request("echo", session_id="not this one", options=options)
        assert answer["sessionId"] == "mine"
        assert answer["agentId"] == "agent"
        assert answer["_ext"] == {"identity": identity.to_dict(), "audit": audit.to_dict()}


async def test_hello(router: str) -> None:
    params = HelloParams("0.3", {"audit": ExtensionInfo("1.0", required=True)})
    bus = real(router)
    result = await bus.connect(params)
    assert result is not None
    assert result.negotiated_protocol_version == "0.3"
    assert result.extensions == {"audit": ExtensionInfo("1.0", active=True)}
    assert bus.agent_session_id == result.session_id == "agent-1"
    await bus.stop()
    bus.destroy()


async def test_errors_of_a_worker_are_raised_as_what_they_are(router: str) -> None:
    async with running(real(router)) as bus:
        with pytest.raises(PolicyDeniedError, match="not you") as denied:
            await bus.request("fail", {"code": 7, "message": "not you", "data": {"role": "guest"}})
        assert denied.value.details == {"role": "guest"}
        with pytest.raises(InternalError, match="Method not found"):
            await bus.request("no such method")


async def test_no_answer_in_time(router: str) -> None:
    async with running(real(router, timeout_ms=50)) as bus:
        with pytest.raises(BusTimeoutError, match="mute"):
            await bus.request("mute")
        with pytest.raises(BusTimeoutError, match="stream"):
            await anext(bus.stream_request("stream", {"chunks": [], "key": "k"}))
        assert bus.get_pending_count() == 0
        assert (await bus.request("echo", {"still": "there"}, timeout_ms=5000))["echo"] == {"still": "there"}


async def test_a_cancelled_request_leaves_nothing_behind(router: str) -> None:
    async with running(real(router)) as bus:
        notifications = bus.subscribe_notifications()
        request = asyncio.ensure_future(bus.request("hold", {"key": "k"}))
        await soon(anext(notifications))
        request.cancel()
        await asyncio.wait((request,))
        assert bus.get_pending_count() == 0
        await bus.notify("release", {"key": "k"})
        assert await bus.request("echo")


async def test_a_thousand_requests_at_once(router: str) -> None:
    async with running(real(router, pool(instances=2))) as bus:
        requests = (bus.request("echo", {"n": n}, session_id=f"s{n % 10}") for n in range(1000))
        answers = await asyncio.gather(*requests)
        assert [answer["echo"]["n"] for answer in answers] == list(range(1000))
        assert len({answer["pid"] for answer in answers}) == 2
        stats = bus.get_stats()
        assert (stats.messages_in, stats.messages_out) == (1000, 1000)


async def test_a_session_stays_with_its_worker(router: str) -> None:
    async with running(real(router, pool(instances=3))) as bus:
        mine = {(await bus.request("echo"))["pid"] for _ in range(10)}
        assert len(mine) == 1
        others = {(await bus.request("echo", session_id=f"s{n}"))["pid"] for n in range(9)}
        assert len(others) == 3


async def test_a_pool_by_name(router: str) -> None:
    pools = [PoolConfig(name, sys.executable, [WORKER]) for name in ("red", "blue")]
    async with running(real(router, BusConfig(pools))) as bus:
        told = {
            name: await bus.request("echo", options=RequestOptions(pool=name, session_id=name))
            for name in ("red", "blue")
        }
        assert {name: answer["pool"] for name, answer in told.items()} == {"red": "red", "blue": "blue"}
        assert told["red"]["pid"] != told["blue"]["pid"]


async def test_a_stream_tells_chunks_then_the_result_that_a_request_has(router: str) -> None:
    async with running(real(router)) as bus:
        events = [event async for event in bus.stream_request("stream", {"chunks": ["one ", "two"]})]
        assert events == [
            StreamEvent("chunk", text="one "),
            StreamEvent("chunk", text="two"),
            StreamEvent("result", result={"done": True, "text": "one two"}),
        ]
        assert await bus.request("stream", {"chunks": ["one ", "two"]}) == events[-1].result


async def test_a_hundred_streams_at_once(router: str) -> None:
    async with running(real(router, pool(instances=2))) as bus:

        async def told(number: int) -> str:
            chunks = {"chunks": [f"{number}:{step} " for step in range(20)]}
            events = bus.stream_request("stream", chunks, session_id=f"s{number}")
            return "".join([event.text or "" async for event in events])

        texts = await asyncio.gather(*(told(number) for number in range(100)))
        assert texts == ["".join(f"{n}:{step} " for step in range(20)) for n in range(100)]


async def test_streams_that_are_open_together_end_in_any_order(router: str) -> None:
    async with running(real(router)) as bus:
        streams = {
            key: bus.stream_request("stream", {"chunks": [f"{key}1"], "key": key}, session_id=key) for key in "ab"
        }
        for key, stream in streams.items():
            assert (await soon(anext(stream))).text == f"{key}1"
        for key in "ba":
            there = RequestOptions(session_id=key)
            await bus.notify("more", {"key": key, "text": f"{key}2"}, options=there)
            await bus.notify("release", {"key": key}, options=there)
            rest = [event.text or event.result async for event in streams[key]]
            assert rest == [f"{key}2", {"done": True, "text": f"{key}1{key}2"}]


async def test_sessions_of_an_agent_behind_one_session_of_the_bus(router: str) -> None:
    async with running(real(router)) as bus:

        def stream(agent_session: str) -> Any:
            params = {"chunks": [agent_session], "key": agent_session, "sessionId": agent_session}
            return bus.stream_request("stream", params)

        one, other = stream("A"), stream("B")
        assert ((await soon(anext(one))).text, (await soon(anext(other))).text) == ("A", "B")
        for agent_session, events in (("B", other), ("A", one)):
            await bus.notify("release", {"key": agent_session})
            assert [event.result async for event in events] == [{"done": True, "text": agent_session}]


async def test_an_error_ends_a_stream_after_its_chunks(router: str) -> None:
    async with running(real(router)) as bus:
        with pytest.raises(InternalError, match="Method not found"):
            await anext(bus.stream_request("nothing"))


async def test_notifications_reach_every_subscriber_and_every_handler(router: str) -> None:
    async with running(real(router)) as bus:
        lines: list[str] = []
        told: list[str] = []
        bus.on_message(broken)
        bus.on_message(lines.append)
        bus.on_notification(told.append)
        wide, narrow = bus.subscribe_notifications(), bus.subscribe_notifications(max_queue=2)
        ending = bus.subscribe_notifications(max_queue=1, overflow="close")
        assert await bus.request("tell", {"count": 5}) == {"count": 5}
        assert [(await anext(wide))["params"]["number"] for _ in range(5)] == [0, 1, 2, 3, 4]
        assert [(await anext(narrow))["params"]["number"] for _ in range(2)] == [0, 1]
        assert narrow.dropped == 3
        assert [one["params"]["number"] async for one in ending] == [0]
        assert len(lines) == 6
        assert [json.loads(line)["params"]["number"] for line in told] == [0, 1, 2, 3, 4]


async def test_a_flood_of_notifications_is_complete(router: str) -> None:
    async with running(real(router)) as bus:
        notifications = bus.subscribe_notifications(max_queue=0)
        await bus.request("tell", {"count": 20_000})
        numbers = [(await anext(notifications))["params"]["number"] for _ in range(20_000)]
        assert numbers == list(range(20_000))


async def test_a_worker_asks_and_is_answered(router: str) -> None:
    async with running(real(router)) as bus:

        async def answer(message: dict[str, Any]) -> Any:
            if message["method"] == "deny":
                raise PolicyDeniedError("not you")
            if message["method"] == "break":
                raise ZeroDivisionError("by zero")
            return {"allowed": message["params"]}

        bus.on_request(answer)
        assert await bus.request("ask", {"method": "may-i", "params": {"n": 1}}) == {
            "answer": {"allowed": {"n": 1}},
            "error": None,
        }
        assert (await bus.request("ask", {"method": "deny"}))["error"] == {"code": 7, "message": "not you"}
        assert (await bus.request("ask", {"method": "break"}))["error"] == {"code": 99, "message": "by zero"}
        bus.on_request(lambda message: message["method"])
        assert (await bus.request("ask", {"method": "plain"}))["answer"] == "plain"


async def test_a_raw_line(router: str) -> None:
    async with running(real(router)) as bus:
        lines: asyncio.Queue[str] = asyncio.Queue()
        bus.on_message(lines.put_nowait)
        assert bus.send('{"jsonrpc":"2.0","id":"mine","method":"list","sessionId":"s"}')
        assert json.loads(await soon(lines.get())) == {"jsonrpc": "2.0", "id": "mine", "result": [{}]}


async def test_ten_megabytes_each_way(router: str) -> None:
    config = pool(max_input_buffer=32 * 1024 * 1024, max_output_queue=64 * 1024 * 1024)
    async with running(real(router, config)) as bus:
        filling = "x" * 10_000_000
        assert (await bus.request("echo", {"filling": filling}))["echo"] == {"filling": filling}


async def test_a_dead_worker_costs_an_error_at_once_and_is_replaced(router: str) -> None:
    async with running(real(router)) as bus:
        before = (await bus.request("echo"))["pid"]
        notifications = bus.subscribe_notifications()
        held = asyncio.ensure_future(bus.request("hold", {"key": "k"}))
        await soon(anext(notifications))
        for fatal in (bus.request("exit", {"code": 3}), held):
            with pytest.raises((TransportError, InternalError, Exception)) as caught:
                await soon(fatal, 1.0)
            assert not isinstance(caught.value, (BusTimeoutError, asyncio.TimeoutError))
        after = await answered_again(bus)
        assert after != before


async def test_a_dead_worker_costs_nobody_else_anything(router: str) -> None:
    async with running(real(router, pool(instances=2))) as bus:
        notifications = bus.subscribe_notifications()
        safe = RequestOptions(session_id="safe")
        held = asyncio.ensure_future(bus.request("hold", {"key": "k"}, options=safe))
        await soon(anext(notifications))
        with pytest.raises(Exception, match=r".*"):
            await soon(bus.request("exit", {"code": 3}, session_id="doomed"), 1.0)
        await bus.notify("release", {"key": "k"}, options=safe)
        assert await soon(held) == {"held": "k"}


async def test_a_killed_router_is_started_again(router: str) -> None:
    back = asyncio.Event()
    async with running(real(router)) as bus:
        bus.on_reconnect(back.set)
        notifications = bus.subscribe_notifications()
        held = asyncio.ensure_future(bus.request("hold", {"key": "k"}))
        await soon(anext(notifications))
        os.kill(pid_of(bus), 9)
        with pytest.raises(TransportError, match="SIGKILL"):
            await soon(held)
        assert (await soon(bus.request("echo", {"n": 1})))["echo"] == {"n": 1}
        await soon(back.wait())


async def test_the_router_refuses_its_configuration(router: str, tmp_path: Any) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"pools":[{"id":"p","command":"true","instances":0}]}')
    bus = AsyncStdioBus(config_path=str(file), subprocess=SubprocessOptions(binary_path=router))
    with pytest.raises(TransportError, match="at least 1 instance") as caught:
        await soon(bus.start(), 1.0)
    assert (caught.value.details or {})["exit_code"] == 1
    assert bus.get_state() is BusState.STOPPED
    bus.destroy()


async def test_the_router_tells_its_counts(router: str) -> None:
    async with running(real(router, pool(instances=3))) as bus:
        assert (bus.get_worker_count(), bus.get_client_count(), bus.get_session_count()) == (3, 1, 0)
        notifications = bus.subscribe_notifications()
        held = asyncio.ensure_future(bus.request("hold", {"key": "k"}))
        await soon(anext(notifications))
        status = await bus.status()
        assert (status.workers, status.sessions, status.pending, bus.get_pending_count()) == (3, 1, 1, 1)
        await bus.notify("release", {"key": "k"})
        await held
        with pytest.raises(Exception, match=r".*"):
            await bus.request("exit", {"code": 3})
        await answered_again(bus)
        status = await bus.status()
        assert status.routing_errors >= 1
        assert [pool["id"] for pool in status.told["pools"]] == ["pool"]
        assert bus.get_stats().messages_in >= 4


async def test_an_answer_that_is_no_hello(router: str) -> None:
    workers = PoolConfig("p", sys.executable, ["-c", NO_HELLO])
    async with running(real(router, BusConfig([workers]))) as bus:
        with pytest.raises(NegotiationFailedError):
            await bus.hello()


async def test_stop_takes_a_moment(router: str) -> None:
    loop = asyncio.get_running_loop()
    bus = real(router, pool(instances=4))
    await bus.start()
    await bus.request("echo")
    begun = loop.time()
    await bus.stop()
    assert loop.time() - begun < 1.0
    bus.destroy()


async def test_sixteen_buses_on_one_loop(router: str) -> None:
    buses = [real(router) for _ in range(16)]
    await asyncio.gather(*(bus.start() for bus in buses))
    requests = (bus.request("echo", {"n": n}) for bus in buses for n in range(20))
    answers = await soon(asyncio.gather(*requests), 10)
    assert [answer["echo"]["n"] for answer in answers] == list(range(20)) * 16
    await asyncio.gather(*(bus.stop() for bus in buses))
    for bus in buses:
        bus.destroy()


def broken(_line: str) -> None:
    """A handler that fails."""
    raise ZeroDivisionError


async def answered_again(bus: AsyncStdioBus) -> int:
    """Ask until a new worker answers, and return its process id."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 10
    while True:
        try:
            pid: int = (await bus.request("echo", timeout_ms=2000))["pid"]
            return pid
        except Exception:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(0.01)


def pid_of(bus: AsyncStdioBus) -> int:
    """The process id of the router under a bus."""
    pid: int = bus._backend.pid  # type: ignore[union-attr]
    return pid


NO_HELLO = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "result": "hi"}), flush=True)
"""
