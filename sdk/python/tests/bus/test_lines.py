"""Lines and JSON: what is cut how, and what is read and written."""

from __future__ import annotations

import contextlib
import math
import random
import socket

import pytest

from bus.wire import Wire
from trunkline.bus.codec import MAX_DEPTH, BadLine, decode, encode, request
from trunkline.bus.connection import MAX_LINE
from trunkline.bus.lines import Lines

PING = {"ok": True, "pong": True}


@pytest.mark.parametrize("seed", range(20))
def test_lines_are_the_same_however_they_arrive(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - no secret
    data = b"".join(draw.choice([b"\n", b"x" * draw.randrange(12), b"\n\n"]) for _ in range(200))
    expected = [None if len(line) > 8 else line for line in data.split(b"\n")]
    if expected[-1] == b"":
        expected.pop()
    lines = Lines(8)
    got = []
    while data:
        size = draw.randrange(1, 20)
        got += lines.feed(data[:size])
        data = data[size:]
    assert got + lines.end() == expected


def test_a_line_that_is_too_long_is_not_held() -> None:
    lines = Lines(1000)
    got = [line for _ in range(1000) for line in lines.feed(b"x" * 100)]
    assert got == [None]
    assert lines.feed(b"\nab\n") == [b"ab"]


def test_what_is_no_number_is_null_and_keys_are_text() -> None:
    assert encode([math.nan, {"a": (math.inf, 1.5)}, {-math.inf: 1, 2.5: 2}]) == (
        b'[null, {"a": [null, 1.5]}, {"-inf": 1, "2.5": 2}]\n'
    )


def test_what_holds_itself_is_no_line() -> None:
    loop: list[object] = [math.nan]
    loop.append(loop)
    with pytest.raises(RecursionError):
        encode(loop)


def test_depth_has_a_limit() -> None:
    deep = '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH
    assert request(deep.encode()) == decode(deep.encode())
    with pytest.raises(BadLine, match="nested deeper than 256"):
        request(f'{{"a":{deep}}}'.encode())
    with pytest.raises(BadLine, match="nested deeper than 256"):
        request(b"[" * 1_000_000)
    flat = '{"a": [' + ", ".join(["[]"] * 1000) + "]}"
    assert request(flat.encode()) is not None


def test_a_value_of_any_depth_that_is_taken_is_given_back(server: tuple[str, int]) -> None:
    # The request around it is one level.
    value = "[" * 100 + "]" * 100
    with Wire(server) as wire:
        assert wire.ask(f'{{"op": "put", "key": "deep", "value": {value}, "namespace": "deep"}}') == {"ok": True}
        assert wire.ask('{"op": "get", "key": "deep", "namespace": "deep"}')["ok"] is True
        assert wire.ask('{"op": "all", "namespace": "deep"}')["ok"] is True


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH])
def test_the_deepest_value_is_told_and_listed(address: tuple[str, int], depth: int) -> None:
    value = "[" * depth + "]" * depth
    with Wire(address) as wire:
        wire.op("subscribe", topic="__bus__.put.default")
        reply = wire.ask(f'{{"op": "put", "key": "k", "value": {value}}}')
        if depth == MAX_DEPTH:
            assert reply == {"ok": False, "error": "invalid JSON: nested deeper than 256"}
        else:
            assert reply["event"] == "signal"
            assert wire.read() == {"ok": True}
            assert wire.op("all")["ok"] is True


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"\xff\xfe", "invalid UTF-8"),
        (b'{"op": "ping", "x": "\xc3("}', "invalid UTF-8"),
        (b'{"op": "put", "key": "k", "value": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid JSON: nested"),
        (b"[" * 100_000, "invalid JSON"),
    ],
)
def test_a_bad_line_is_answered_and_its_connection_goes_on(
    server: tuple[str, int], kind: str, line: bytes, error: str
) -> None:
    with Wire(server) as wire:
        reply = wire.ask(line)
        # The daemon keeps values as they came, however deep.
        if kind != "daemon":
            assert reply["error"].startswith(error)
        assert reply["ok"] is (kind == "daemon" and "nested" in error)
        assert wire.ask('{"op": "ping"}') == PING


def test_a_long_line_is_taken_and_one_that_is_too_long_is_answered(server: tuple[str, int]) -> None:
    with Wire(server) as wire:
        assert wire.op("put", key="long", namespace="long", value="x" * 4_000_000) == {"ok": True}
        reply = wire.op("put", key="long", namespace="long", value="x" * (MAX_LINE + 1))
        assert reply["ok"] is False
        assert str(MAX_LINE) in reply["error"]
        assert wire.ask('{"op": "ping"}') == PING
        assert wire.op("clear", namespace="long") == {"ok": True, "count": 1}


def test_the_longest_line(address: tuple[str, int]) -> None:
    frame = '{"op": "put", "key": "long", "value": ""}'
    with Wire(address) as wire:
        longest = frame.replace('""', '"' + "x" * (MAX_LINE - len(frame)) + '"')
        assert wire.ask(longest) == {"ok": True}
        assert wire.ask(longest + " ")["ok"] is False
        assert wire.ask('{"op": "ping"}') == PING


def test_a_last_line_without_an_end_is_answered(server: tuple[str, int]) -> None:
    with Wire(server) as wire:
        wire.sock.sendall(b'{"op": "ping"}\n{"op": "ping"}')
        wire.sock.shutdown(socket.SHUT_WR)
        assert [wire.read(), wire.read()] == [PING, PING]
        assert wire.line() == ""


def test_an_integer_of_too_many_digits_is_answered(address: tuple[str, int]) -> None:
    with Wire(address) as wire:
        assert wire.ask('{"op": "put", "key": "k", "value": ' + "9" * 5000 + "}")["ok"] is False
        assert wire.ask('{"op": "put", "key": "k", "value": ' + "9" * 4000 + "}")["ok"] is True


def browse(server: tuple[str, int], said: bytes) -> None:
    """Say what a page can make a browser say, and see that it came to nothing."""
    with Wire(server) as wire:
        wire.send(said % b'{"op": "put", "key": "stolen", "namespace": "http", "value": 1}')
        # What has not been read of the request makes the end a hard one.
        with contextlib.suppress(ConnectionResetError):
            assert wire.line() == ""
    with Wire(server) as wire:
        assert wire.op("get", key="stolen", namespace="http") == {"ok": True, "value": None}


def test_a_browser_is_not_listened_to(server: tuple[str, int]) -> None:
    browse(server, b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n%s")


@pytest.mark.parametrize("said", [b"options /x?y HTTP/1.1\r\n%s", b"\x16\x03\x01\x02\x00\n%s\n"])
def test_no_kind_of_browser_is_listened_to(address: tuple[str, int], said: bytes) -> None:
    browse(address, said)
