"""A bus here, a bus behind our server, and one behind a server that knows the original's operations only."""

from __future__ import annotations

import queue
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import trunkline.bus
from bus.original import OriginalServer
from bus.test_client import until_lost
from bus.wire import PATIENCE
from trunkline.bus import Bus, BusClient, BusError, BusServer, Workspace

SOURCE = Path(trunkline.bus.__file__).parents[2]


@pytest.fixture(params=["here", "served", "original"])
def any_bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    if request.param == "here":
        with Bus() as bus:
            yield bus
    elif request.param == "served":
        with Bus(serve=True, port=0) as served:
            assert served.address
            with Bus(connect="{}:{}".format(*served.address)) as bus:
                yield bus
    else:
        with OriginalServer() as server, Bus(connect="{}:{}".format(*server.address)) as bus:
            yield bus


def test_keys_and_values(any_bus: Bus) -> None:
    bus = any_bus
    bus.put("a", 1, "x")
    bus.put("b", {"c": [None]}, agent="y", namespace="default", ttl=3600)
    bus.put("gone", 1, ttl=-1)
    bus.put("empty")
    assert (bus.get("a"), bus.get("b"), bus.get("gone"), bus.get("no", "other")) == (1, {"c": [None]}, None, None)
    assert bus.keys() == ["a", "b", "empty"]
    assert bus.keys(agent="y") == ["b"]
    assert bus.all() == bus.snapshot() == {"a": 1, "b": {"c": [None]}, "empty": None}
    assert bus.transfer("x", "y") == ["a"]
    assert bus.transfer("y", "x", keys=("empty", "b", "no")) == ["b", "empty"]
    assert bus.transfer("z", "y", keys=("b",)) == []
    assert (bus.keys(agent="x"), bus.keys(agent="y")) == (["b", "empty"], ["a"])
    assert bus.restore({"r": 1}, namespace="other") == 1
    assert (bus.delete("r", "other"), bus.delete("r", "other")) == (True, False)
    assert (bus.clear(), bus.clear()) == (3, 0)


def test_topics(any_bus: Bus) -> None:
    bus = any_bus
    heard: queue.Queue[Any] = queue.Queue()

    def hear(*said: Any) -> None:
        heard.put(said)

    bus.subscribe("t", hear)
    bus.subscribe("t", hear)
    assert bus.publish("t", [1], "me") == 1
    assert heard.get(timeout=PATIENCE) == ("t", [1], "me")
    bus.subscribe("__bus__.put.ns", hear)
    bus.put("k", 1, namespace="ns")
    assert heard.get(timeout=PATIENCE) == ("__bus__.put.ns", {"key": "k", "value": 1, "agent": None}, None)
    bus.unsubscribe("t", print)
    bus.publish("t", 2)
    assert heard.get(timeout=PATIENCE) == ("t", 2, None)
    bus.unsubscribe("t", hear)
    bus.publish("t", 3)
    bus.put("k", 2, namespace="ns")
    assert heard.get(timeout=PATIENCE)[1]["value"] == 2
    assert [signal["data"] for signal in bus.signals("t")] == [[1], 2, 3]
    assert [signal["agent_id"] for signal in bus.signals(agent="me")] == ["me"]
    assert bus.signals("t", limit=1) == bus.signals("t", since=bus.signals("t")[-1]["timestamp"])


def test_agents(any_bus: Bus) -> None:
    bus = any_bus
    bus.register("planner", {"can": ["plan"]})
    bus.put("k", 1, agent="writer")
    agents = bus.agents()
    assert [agent["agent_id"] for agent in agents] == ["planner", "writer"]
    assert agents[0]["metadata"] == {"can": ["plan"]}
    bus.register("planner")
    assert bus.agents()[0]["metadata"] == {}


def test_handoffs(any_bus: Bus) -> None:
    bus = any_bus
    first = bus.save_session("planner", "/repo", task_summary="half", decisions=["d"], todos=["t"])
    second = bus.save_session("planner", status="paused")
    assert [session["id"] for session in bus.list_sessions("planner")] == [second, first]
    bus.update_session(first, status="completed", files_touched=["f"], other=1)
    found = bus.get_session(agent_id="planner")
    assert found
    assert (found["id"], found["status"], found["files_touched"], found["todos"]) == (
        first,
        "completed",
        ["f"],
        ["t"],
    )
    lane = bus.open_lane(first, "planner", "writer", {"hint": 1})
    point = bus.checkpoint(first, "planner", {"line": 7}, lane)
    assert bus.list_checkpoints(first)[0] == bus.list_checkpoints(lane_id=lane)[0]
    assert bus.list_checkpoints(lane_id=lane)[0]["id"] == point
    bus.close_lane(lane)
    closed = bus.get_lane(lane)
    assert closed == bus.list_lanes(first)[0]
    assert closed["status"] == "closed"
    assert bus.get_session("no") is None
    with pytest.raises((BusError, TypeError), match=r"FOREIGN KEY|Error binding"):
        bus.checkpoint([], "planner", 1)


def test_a_workspace(any_bus: Bus) -> None:
    space = Workspace(any_bus, "team")
    heard: queue.Queue[Any] = queue.Queue()
    space.put("a", 1, "x")
    space.put("gone", 1, ttl=-1)
    any_bus.put("a", 2)
    assert (space.get("a"), any_bus.get("a"), any_bus.get("a", "team")) == (1, 2, 1)
    assert (space.keys(), space.keys("x"), space.keys("y")) == (["a"], ["a"], [])
    assert space.transfer("x", "y") == ["a"]
    assert space.all() == space.snapshot() == {"a": 1}
    assert (space.delete("a"), space.restore({"b": 1, "c": 2}), space.clear()) == (True, 2, 2)
    assert any_bus.all() == {"a": 2}
    # Topics, agents and handoffs are the bus's.
    any_bus.subscribe("t", lambda _topic, data, _agent: heard.put(data))
    assert space.publish("t", 1, "me") == 1
    assert heard.get(timeout=PATIENCE) == 1
    space.unsubscribe("t")
    space.subscribe("t", print)
    assert [signal["data"] for signal in space.signals("t")] == [1]
    space.register("me", {"a": 1})
    assert "me" in [agent["agent_id"] for agent in any_bus.agents()]
    assert space.get_session(space.save_session("me")) == any_bus.get_session(agent_id="me")
    assert (space.bus, space.name) == (any_bus, "team")


@pytest.mark.parametrize("remote", [False, True])
def test_receipts(bus: Bus, remote: bool) -> None:
    assert bus.address
    with Bus(connect="{}:{}".format(*bus.address)) as other:
        end = other if remote else bus
        for number in range(3):
            bus.put(number, 1, agent="x", namespace="ns")
        end.transfer("x", "y", [0], "ns")
        end.transfer("nobody", "y", namespace="ns")
        end.transfer("x", "z", namespace="ns")
        first, second = end.transfers("ns")
        assert (first["from_agent"], first["to_agent"], first["keys"]) == ("x", "y", [0])
        assert (second["to_agent"], second["keys"]) == ("z", [1, 2])
        assert first["timestamp"] < second["timestamp"]
        assert Workspace(end, "ns").transfers() == [first, second]
        assert end.transfers() == []


def test_operations_have_names(any_bus: Bus) -> None:
    assert any_bus.ask("ping")["pong"] is True
    assert any_bus.ask("get", key="k")["value"] is None
    with pytest.raises(BusError, match="unknown op: fly"):
        any_bus.ask("fly")


def test_what_is_given_is_not_shared_with_the_history() -> None:
    with Bus() as bus:
        bus.publish("t", 1)
        bus.signals()[0]["data"] = 2
        bus.register("a")
        bus.agents()[0]["agent_id"] = "b"
        assert (bus.signals()[0]["data"], bus.agents()[0]["agent_id"]) == (1, "a")


def test_a_callback_may_call_the_bus_that_calls_it() -> None:
    with Bus() as bus:
        bus.subscribe("t", lambda _topic, data, _agent: bus.put("seen", data))
        bus.subscribe("__bus__.put.default", lambda _topic, data, _agent: bus.publish("seen", data["value"]))
        assert bus.publish("t", 7) == 1
        assert (bus.get("seen"), bus.signals("seen")[0]["data"]) == (7, 7)


def test_both_ends_of_one_bus_share_everything(bus: Bus) -> None:
    assert bus.address
    heard: queue.Queue[Any] = queue.Queue()
    with Bus(connect="{}:{}".format(*bus.address)) as other, BusClient(*bus.address) as client:
        bus.put("k", 1)
        assert other.get("k") == client.get("k") == 1
        bus.subscribe("t", lambda *said: heard.put(("here", *said)))
        other.subscribe("t", lambda *said: heard.put(("there", *said)))
        assert client.publish("t", 5) == 2
        got = {heard.get(timeout=PATIENCE), heard.get(timeout=PATIENCE)}
        assert got == {("here", "t", 5, None), ("there", "t", 5, None)}
        assert other.address == bus.address == client.address


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "9470", "host:", "host:x", "host:-1", ""])
def test_an_address_names_a_port(address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        Bus(connect=address)


@pytest.mark.parametrize("address", ["[::1]:1", "::1:1"])
def test_an_address_may_be_of_ipv6(address: str) -> None:
    with pytest.raises(ConnectionError, match=r"cannot connect to \[::1\]:1"):
        Bus(connect=address)


def test_arguments_go_together(bus: Bus, tmp_path: Path) -> None:
    assert bus.address
    at = "{}:{}".format(*bus.address)
    with pytest.raises(ValueError, match="not both"):
        Bus(serve=True, connect=at)
    with pytest.raises(ValueError, match="where the bus is served"):
        Bus(connect=at, db_path=tmp_path / "x.db")
    with Bus(connect=at) as other, pytest.raises(ValueError, match="serve that one"):
        BusServer(other)


def test_a_server_starts_once_and_stops_often() -> None:
    with Bus() as bus:
        server = BusServer(bus, "127.0.0.1", 0)
        assert server.address == ("127.0.0.1", 0)
        server.start()
        with pytest.raises(BusError, match="has started"):
            server.start()
        with BusClient(*server.address) as client:
            assert client.ping()
            server.stop()
            server.stop()
            with pytest.raises(ConnectionError):
                until_lost(client)
        # It may start again, where there is room.
        server.start()
        with BusClient(*server.address) as client:
            assert client.ping()
        server.stop()


def test_a_closed_bus_keeps_no_handoffs() -> None:
    bus = Bus()
    bus.save_session("a")
    bus.close()
    with pytest.raises(BusError, match="the bus is closed"):
        bus.save_session("a")


def test_only_the_standard_library_is_imported() -> None:
    """Without site-packages there is nothing else to import."""
    program = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import trunkline.bus, trunkline.bus.__main__"
    program += "; trunkline.bus.Bus().save_session('a')"
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True, timeout=PATIENCE)
