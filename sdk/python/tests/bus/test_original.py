"""A program written for the original, on every server of the bus."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from bus.original import OriginalClient
from bus.wire import Wire, eventually


@pytest.fixture
def ns() -> str:
    return f"n{uuid.uuid4().hex}"


@pytest.fixture
def client(server: tuple[str, int]) -> Iterator[OriginalClient]:
    with OriginalClient(*server) as client:
        yield client


@pytest.fixture
def other(server: tuple[str, int]) -> Iterator[OriginalClient]:
    with OriginalClient(*server) as other:
        yield other


def test_values(client: OriginalClient, other: OriginalClient, ns: str) -> None:
    client.put("plan", {"step": 1}, agent="planner", namespace=ns)
    client.put("draft", [1, 2], agent="writer", namespace=ns)
    assert other.get("plan", namespace=ns) == {"step": 1}
    assert other.get("nothing", namespace=ns) is None
    assert other.keys(namespace=ns) == ["plan", "draft"]
    assert other.keys(namespace=ns, agent="writer") == ["draft"]
    assert other.all(namespace=ns) == {"plan": {"step": 1}, "draft": [1, 2]}
    assert other.transfer("planner", "writer", namespace=ns) == ["plan"]
    assert other.keys(namespace=ns, agent="writer") == ["plan", "draft"]
    kept = other.snapshot(namespace=ns)
    assert other.delete("plan", namespace=ns) is True
    assert other.delete("plan", namespace=ns) is False
    assert other.clear(namespace=ns) == 1
    assert client.restore(kept, namespace=ns) == 2
    assert client.all(namespace=ns) == kept


def test_the_callback_ran_when_publish_returns(client: OriginalClient, ns: str) -> None:
    heard: list[Any] = []
    client.subscribe(ns, lambda *said: heard.append(said))
    assert client.publish(ns, {"n": 1}, agent="me") == 1
    assert heard == [(ns, {"n": 1}, "me")]


def test_counts_are_those_of_subscribers(client: OriginalClient, other: OriginalClient, ns: str) -> None:
    assert client.publish(ns) == 0
    client.subscribe(ns, print)
    assert other.publish(ns) == 1
    other.subscribe(ns, lambda *_: None)
    assert other.publish(ns) == 2


def test_pushes_come_with_the_next_call_in_order(client: OriginalClient, other: OriginalClient, ns: str) -> None:
    heard: list[Any] = []
    client.subscribe(ns, lambda _topic, data, _agent: heard.append(data))
    for number in range(100):
        assert other.publish(ns, number) == 1
    assert heard == []
    assert client.get("nothing", namespace=ns) is None
    assert heard == list(range(100))


def test_a_signal_is_there_when_its_reply_is(client: OriginalClient, other: OriginalClient, ns: str) -> None:
    for number in range(20):
        client.publish(ns, number, agent="me")
        assert [signal["data"] for signal in other.signals(topic=ns)] == list(range(number + 1))
    assert [signal["data"] for signal in other.signals(topic=ns, limit=2)] == [18, 19]
    every = other.signals(topic=ns)
    # A server may count in milliseconds, so that some are of one moment.
    later = [signal for signal in every if signal["timestamp"] >= every[15]["timestamp"]]
    assert other.signals(topic=ns, since=every[15]["timestamp"]) == later
    assert later[-5:] == every[15:]
    ids = [signal["id"] for signal in other.signals(topic=ns)]
    assert ids == sorted(ids)


def test_agents_are_those_that_registered_or_did_something(client: OriginalClient, ns: str) -> None:
    client.register(ns, {"role": "planner"})
    client.put("k", 1, agent=f"{ns}-putter", namespace=ns)
    agents = {agent["agent_id"]: agent for agent in client.agents()}
    assert agents[ns]["metadata"] == {"role": "planner"}
    first = agents[f"{ns}-putter"]
    assert (first["metadata"], first["first_seen"]) == ({}, first["last_seen"])

    def seen_later() -> bool:
        client.put("k", 2, agent=f"{ns}-putter", namespace=ns)
        again = next(agent for agent in client.agents() if agent["agent_id"] == first["agent_id"])
        assert again["first_seen"] == first["first_seen"]
        return bool(again["last_seen"] > first["last_seen"])

    # A server may count in milliseconds.
    eventually(seen_later)
    client.register(ns)
    assert next(agent for agent in client.agents() if agent["agent_id"] == ns)["metadata"] == {}


@pytest.mark.usefixtures("handoffs")
def test_the_later_of_two_sessions_is_the_latest(client: OriginalClient, ns: str) -> None:
    saved = [client.save_session(agent_id=ns, task_summary=f"task {number}") for number in range(30)]
    assert client.get_session(agent_id=ns)["id"] == saved[-1]
    assert [session["id"] for session in client.list_sessions(agent_id=ns)] == saved[::-1]
    client.update_session(saved[3], status="paused", decisions=["d"], metadata={"a": 1})
    latest = client.get_session(agent_id=ns)
    assert (latest["id"], latest["status"], latest["decisions"]) == (saved[3], "paused", ["d"])
    assert [session["id"] for session in client.list_sessions(agent_id=ns, status="paused")] == [saved[3]]


@pytest.mark.usefixtures("handoffs")
def test_lanes_and_checkpoints(client: OriginalClient, ns: str) -> None:
    session = client.save_session(agent_id=ns, repo=ns)
    lanes = [client.open_lane(session, "a", "b", context={"n": number}) for number in range(5)]
    assert [lane["id"] for lane in client.list_lanes(session_id=session)] == lanes[::-1]
    client.close_lane(lanes[0])
    closed = client.get_lane(lanes[0])
    assert (closed["status"], closed["context"]) == ("closed", {"n": 0})
    assert closed["updated"] > closed["created"]
    points = [client.checkpoint(session, ns, {"n": number}, lane_id=lanes[1]) for number in range(5)]
    assert [point["id"] for point in client.list_checkpoints(lane_id=lanes[1])] == points[::-1]
    assert client.list_checkpoints(session_id=session)[0]["snapshot"] == {"n": 4}


def test_errors_are_told_where_the_original_tells_them(client: OriginalClient, ns: str) -> None:
    with pytest.raises(RuntimeError, match="unhashable type: 'list'"):
        client.put([], 1)
    assert client.delete([]) is False
    assert client.signals(limit=None) == []
    assert client.get("k", namespace=ns) is None


@pytest.mark.usefixtures("handoffs")
def test_errors_of_handoffs_are_told(client: OriginalClient) -> None:
    with pytest.raises(RuntimeError):
        client.open_lane("no", "a", "b")
    with pytest.raises(RuntimeError, match="'foo'"):
        client.save_session(agent_id="a", foo=1)


def test_pipelined_lines_are_answered_in_order(server: tuple[str, int], ns: str) -> None:
    lines = [f'{{"op": "put", "key": {number}, "value": {number}, "namespace": "{ns}"}}' for number in range(500)]
    lines += [f'{{"op": "get", "key": {number}, "namespace": "{ns}"}}' for number in range(500)]
    with Wire(server) as wire:
        wire.send("\n".join(lines))
        assert [wire.read() for _ in range(500)] == [{"ok": True}] * 500
        assert [wire.read()["value"] for _ in range(500)] == list(range(500))


def test_nothing_is_said_that_was_not_asked_for(server: tuple[str, int]) -> None:
    with Wire(server) as wire:
        wire.send('{"op": "ping"}')
        assert json.loads(wire.line()) == {"ok": True, "pong": True}
