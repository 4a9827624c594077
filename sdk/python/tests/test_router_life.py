"""A router that is slow, silent, deaf, wrong, lost or ours: scripted, for a real one is not so on demand."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from pathlib import Path

import pytest

from conftest import pool, running, scripted, scripted_router, soon
from trunkline.stdiobus import (
    AsyncStdioBus,
    BusConfig,
    BusState,
    InvalidStateError,
    NotSupportedError,
    PoolConfig,
    ReconnectPolicy,
    RouterStatus,
    SubprocessOptions,
    TransportError,
)
from trunkline.stdiobus import TimeoutError as BusTimeoutError
from trunkline.stdiobus.backends import base

QUICK = ReconnectPolicy(max_attempts=3, first_delay_sec=0.001)


async def lose(bus: AsyncStdioBus) -> None:
    """Make the router end under the bus."""
    with pytest.raises(TransportError, match="exited unexpectedly, code 7"):
        await bus.request("router/exit", {"code": 7})


async def test_start_returns_when_the_router_says_ready() -> None:
    bus = scripted()
    assert bus.get_state() is BusState.CREATED
    async with running(bus):
        assert bus.get_state() is BusState.RUNNING
        assert bus.get_backend_type() == "subprocess"
    assert bus.get_state() is BusState.STOPPED
    assert bus.get_backend_type() == "unknown"


async def test_a_silent_router_is_taken_to_be_ready() -> None:
    options = dataclasses.replace(scripted_router("silent"), start_timeout_sec=0.1)
    async with running(AsyncStdioBus(pool(), subprocess=options)) as bus:
        assert (await bus.request("echo", {"a": 1}))["echo"] == {"a": 1}


async def test_a_wrong_configuration_is_told_in_the_routers_own_words() -> None:
    bus = scripted("ends=1")
    with pytest.raises(TransportError, match="must have at least 1 instance") as caught:
        await bus.start()
    told = "config: pool 'p' must have at least 1 instance"
    assert caught.value.details == {"exit_code": 1, "stderr": told}
    assert bus.get_state() is BusState.STOPPED
    with pytest.raises(InvalidStateError, match="not running"):
        await bus.request("echo")
    bus.destroy()


@pytest.mark.parametrize("path", ["/nowhere/stdio_bus", __file__], ids=["missing", "no program"])
async def test_a_binary_that_cannot_be_run(path: str) -> None:
    bus = AsyncStdioBus(pool(), subprocess=SubprocessOptions(binary_path=path))
    with pytest.raises(TransportError, match="cannot be run"):
        await bus.start()
    bus.destroy()


async def test_a_configuration_of_any_size_is_handed_over() -> None:
    pools = [PoolConfig(f"pool-{number}", sys.executable, ["x" * 1000]) for number in range(300)]
    async with running(scripted(config=BusConfig(pools))) as bus:
        assert await bus.request("echo")


async def test_a_configuration_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**pool().to_dict(), "status": True}))
    bus = AsyncStdioBus(config_path=str(file), subprocess=scripted_router("ours"))
    async with running(bus):
        assert bus.get_worker_count() == 3


async def test_a_request_before_the_router_is_ready_is_refused() -> None:
    bus = scripted()
    starting = asyncio.ensure_future(bus.start())
    await asyncio.sleep(0)
    assert bus.get_state() is BusState.STARTING
    with pytest.raises(InvalidStateError, match="not running"):
        await bus.request("echo")
    await starting
    await bus.stop()
    bus.destroy()


async def test_a_bus_is_started_once() -> None:
    bus = scripted()
    async with running(bus):
        with pytest.raises(InvalidStateError, match="started before"):
            await bus.start()
    with pytest.raises(InvalidStateError, match="destroyed"):
        await bus.start()
    bus.destroy()


async def test_a_talkative_router_never_waits_and_its_nonsense_is_overlooked() -> None:
    async with running(scripted("chatty")) as bus:
        assert (await bus.request("echo", {"a": 1}))["echo"] == {"a": 1}


async def test_a_deaf_router_is_killed_when_its_time_is_over() -> None:
    loop = asyncio.get_running_loop()
    bus = scripted("deaf")
    await bus.start()
    begun = loop.time()
    await bus.stop(timeout_sec=0.3)
    assert 0.3 <= loop.time() - begun < 1.0
    assert bus.get_state() is BusState.STOPPED
    bus.destroy()


async def test_a_router_that_does_not_read_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = scripted("stuck", timeout_ms=50)
    await bus.start()
    filling = "x" * 10_000_000
    with pytest.raises(BusTimeoutError):
        await bus.request("echo", {"filling": filling})
    # The first is on its way; the others wait for room, and are not sent when it is too late for them.
    for _ in range(3):
        with pytest.raises(BusTimeoutError):
            await bus.request("echo", {"filling": filling})
    assert bus.get_stats().messages_in == 1
    monkeypatch.setattr(base, "MAX_UNSENT_BYTES", 1_000_000)
    assert bus.send("{}") is False
    await bus.stop()
    bus.destroy()


async def test_stop_ends_what_is_open() -> None:
    bus = scripted()
    await bus.start()
    notifications = bus.subscribe_notifications()
    request = asyncio.ensure_future(bus.request("hold", {"key": "k"}))
    stream = asyncio.ensure_future(anext(bus.stream_request("stream", {"chunks": [], "key": "s"}, session_id="t")))
    assert (await soon(anext(notifications)))["method"] == "holding"
    await bus.stop()
    for open_one in (request, stream):
        with pytest.raises(TransportError, match="shutting down"):
            await open_one
    assert [one async for one in notifications] == []
    await bus.stop()
    bus.destroy()


async def test_destroy_alone_ends_everything() -> None:
    bus = scripted()
    await bus.start()
    request = asyncio.ensure_future(bus.request("mute"))
    await asyncio.sleep(0)
    bus.destroy()
    with pytest.raises(TransportError, match="destroyed"):
        await request
    bus.destroy()


async def test_a_lost_router_comes_back_and_what_was_open_has_failed() -> None:
    back = asyncio.Event()
    async with running(scripted(reconnect=QUICK)) as bus:
        bus.on_reconnect(back.set)
        notifications = bus.subscribe_notifications()
        held = asyncio.ensure_future(bus.request("hold", {"key": "k"}))
        assert (await soon(anext(notifications)))["method"] == "holding"
        await lose(bus)
        assert bus.get_state() is BusState.STARTING
        with pytest.raises(TransportError, match="exited unexpectedly"):
            await held
        # A new request waits for the new router.
        assert (await soon(bus.request("echo", {"n": 2})))["echo"] == {"n": 2}
        await soon(back.wait())
        assert bus.get_state() is BusState.RUNNING
        assert bus.get_stats().client_connects == 2
        await bus.request("tell", {"count": 1})
        assert (await soon(anext(notifications)))["params"] == {"number": 0}


async def test_a_coroutine_may_greet_the_new_router() -> None:
    greeted = asyncio.Event()
    async with running(scripted(reconnect=QUICK)) as bus:

        async def greet() -> None:
            assert (await bus.hello()).session_id == "agent-1"
            greeted.set()

        bus.on_reconnect(lambda: 1 / 0)
        bus.on_reconnect(greet)
        await lose(bus)
        await soon(greeted.wait())
        assert bus.agent_session_id == "agent-1"


async def test_without_a_policy_a_loss_is_the_end() -> None:
    bus = scripted(reconnect=None)
    await bus.start()
    notifications = bus.subscribe_notifications()
    await lose(bus)
    assert bus.get_state() is BusState.STOPPED
    assert [one async for one in notifications] == []
    with pytest.raises(InvalidStateError):
        await bus.request("echo")
    assert bus.send("{}") is False
    bus.destroy()


async def test_a_router_that_does_not_come_back_is_given_up(tmp_path: Path) -> None:
    trouble = tmp_path / "trouble"
    bus = scripted(f"ends-in={trouble}", reconnect=QUICK)
    await bus.start()
    trouble.touch()
    await lose(bus)
    with pytest.raises(TransportError, match="must have at least 1 instance"):
        await soon(bus.request("echo"))
    assert bus.get_state() is BusState.STOPPED
    bus.destroy()


async def test_stop_in_the_middle_of_a_recovery(tmp_path: Path) -> None:
    patient = ReconnectPolicy(first_delay_sec=3600, max_delay_sec=3600)
    bus = scripted(reconnect=patient)
    await bus.start()
    await lose(bus)
    waiting = asyncio.ensure_future(bus.request("echo"))
    await asyncio.sleep(0)
    await soon(bus.stop())
    with pytest.raises(TransportError):
        await waiting
    assert bus.get_state() is BusState.STOPPED
    bus.destroy()


async def test_our_router_tells_its_counts() -> None:
    async with running(scripted("ours")) as bus:
        counts = (bus.get_worker_count(), bus.get_client_count(), bus.get_session_count())
        assert counts == (3, 2, 5)
        expected = RouterStatus(workers=3, sessions=5, pending=7, clients=2, worker_restarts=11, routing_errors=13)
        assert await bus.status() == expected
        seen: list[str] = []
        bus.on_message(seen.append)
        await bus.status()
        stats = bus.get_stats()
        assert (stats.messages_in, stats.messages_out, stats.bytes_in, stats.bytes_out) == (0, 0, 0, 0)
        assert (stats.worker_restarts, stats.routing_errors) == (11, 13)
        assert seen == []


async def test_a_router_that_is_not_ours_is_not_asked() -> None:
    async with running(scripted()) as bus:
        assert (bus.get_worker_count(), bus.get_client_count(), bus.get_session_count()) == (-1, -1, -1)
        with pytest.raises(NotSupportedError):
            await bus.status()
        assert bus.get_stats().messages_in == 0


async def test_two_streams_of_one_session_once_the_workers_name_their_requests() -> None:
    async with running(scripted()) as bus:
        first = await text_of(bus, ["x"], key=None)
        assert first == "x"
        notifications = bus.subscribe_notifications()
        one = asyncio.ensure_future(text_of(bus, ["a1 ", "a2 "], "a"))
        other = asyncio.ensure_future(text_of(bus, ["b1 ", "b2 "], "b"))
        for _ in range(4):
            await soon(anext(notifications))
        await bus.notify("release", {"key": "b"})
        await bus.notify("release", {"key": "a"})
        assert [await soon(one), await soon(other)] == ["a1 a2 ", "b1 b2 "]


async def test_a_second_stream_of_one_session_is_refused_where_it_could_be_mixed_up() -> None:
    async with running(scripted()) as bus:
        first = bus.stream_request("stream", {"chunks": ["x"], "key": "k"})
        assert (await soon(anext(first))).text == "x"
        with pytest.raises(InvalidStateError, match="session_id of its own"):
            await text_of(bus, ["y"], "l")
        await bus.notify("release", {"key": "k"})
        assert [event.result async for event in first] == [{"done": True, "text": "x"}]
        assert [event.type async for event in bus.stream_request("stream", {"chunks": []})] == ["result"]


async def text_of(bus: AsyncStdioBus, chunks: list[str], key: str | None) -> str:
    """Run a stream to its end, its chunks naming it; what they told must be what the result has."""
    params = {"chunks": chunks, "as": "request"}
    events = bus.stream_request("stream", {**params, "key": key} if key else params)
    heard = [event async for event in events]
    told = "".join(event.text or "" for event in heard)
    assert heard[-1].result == {"done": True, "text": told}
    return told
