"""Patterns of topics, here and behind a connection."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from bus.original import OriginalServer
from bus.wire import PATIENCE, Wire, eventually
from trunkline.bus import Bus, BusClient, BusError, BusServer, Workspace
from trunkline.bus.connection import MAX_PATTERNS
from trunkline.bus.pattern import Pattern, wanted


@pytest.mark.parametrize(
    ("pattern", "fit", "other"),
    [
        ("build", ["build"], ["build.a", "", "buil"]),
        ("build.*", ["build.a", "build."], ["build", "build.a.b", "xbuild.a"]),
        ("build.>", ["build.a", "build.a.b"], ["build", "built.a"]),
        ("*.done", ["a.done"], ["done", "a.b.done"]),
        ("*.b.>", ["a.b.c", "a.b.c.d"], ["a.b", "a.c.d"]),
        (">", ["a", "a.b", ""], ["__bus__.put.default", 7, None]),
        ("a*", ["a*"], ["ab"]),
    ],
)
def test_a_pattern_stands_for_topics(pattern: str, fit: list[Any], other: list[Any]) -> None:
    assert [topic for topic in fit + other if Pattern(pattern).matches(topic)] == fit


def test_what_is_no_pattern_is_said() -> None:
    with pytest.raises(ValueError, match="> may be its last word only"):
        Pattern("a.>.b")
    with pytest.raises(TypeError, match="a pattern is a text, not 7"):
        Pattern(7)
    assert wanted("a.b", True) == wanted("a.b", False) == "a.b"
    assert wanted("a.*", False) == "a.*"
    assert wanted("a.*", True) == Pattern("a.*") != "a.*"


@pytest.mark.parametrize("remote", [False, True])
def test_a_pattern_is_subscribed_to(bus: Bus, remote: bool) -> None:
    assert bus.address
    heard: queue.Queue[Any] = queue.Queue()

    def hear(topic: Any, data: Any, _agent: Any) -> None:
        heard.put((topic, data))

    with Bus(connect="{}:{}".format(*bus.address)) as other:
        end = other if remote else bus
        end.subscribe("build.*", hear, wildcard=True)
        Workspace(end, "x").subscribe("build.>", hear, wildcard=True)
        end.subscribe("build.a", hear)
        # One function is called once, whatever has led to it; a connection is told once.
        assert [bus.publish(topic, 1) for topic in ("build.a", "build.a.b", "build", "build.*")] == [1, 1, 0, 1]
        got = [heard.get(timeout=PATIENCE) for _ in range(3)]
        assert got == [("build.a", 1), ("build.a.b", 1), ("build.*", 1)]
        end.unsubscribe("build.>", hear, wildcard=True)
        end.unsubscribe("build.*", wildcard=True)
        assert [bus.publish(topic, 2) for topic in ("build.a", "build.a.b")] == [1, 0]
        assert heard.get(timeout=PATIENCE) == ("build.a", 2)
        assert heard.empty()


def test_a_server_that_knows_no_patterns_is_not_asked_for_one() -> None:
    with OriginalServer() as server, BusClient(*server.address) as client:
        with pytest.raises(BusError, match="knows no patterns"):
            client.subscribe("build.*", print, wildcard=True)
        client.subscribe("build", print, wildcard=True)
        assert client.publish("build.*") == 0


def test_patterns_are_subscribed_to_again() -> None:
    heard: queue.Queue[Any] = queue.Queue()
    with Bus() as bus:
        server = BusServer(bus, port=0)
        server.start()
        with BusClient(*server.address, reconnect=True) as client:
            client.subscribe("build.*", lambda topic, _data, _agent: heard.put(topic), wildcard=True)
            server.stop()
            with BusServer(bus, *client.address):
                eventually(lambda: bus.publish("build.a") == 1)
                assert heard.get(timeout=PATIENCE) == "build.a"


def test_one_connection_has_a_limit_of_patterns(address: tuple[str, int]) -> None:
    with Wire(address) as wire:
        for number in range(MAX_PATTERNS):
            assert wire.op("subscribe", topic=f"{number}.*", wildcard=True)["ok"] is True
        assert wire.op("subscribe", topic="more.*", wildcard=True)["ok"] is False
        assert wire.op("subscribe", topic="7.*", wildcard=True)["ok"] is True
        assert wire.op("subscribe", topic="more.*")["ok"] is True
