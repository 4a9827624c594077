"""A connection to a bus, line by line, and the reading of the table of cases."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from bus.cases import Case

PATIENCE = 60
PATTERNS = {
    "hex": r"[0-9a-f]{12}",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00",
    "text": r"(?s).+",
}


class Wire:
    """Sends bytes, reads lines."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self.sock.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._lines.close()
        self.sock.close()

    def reset(self) -> None:
        """End it as a crash does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def send(self, line: str | bytes) -> None:
        self.sock.sendall((line.encode() if isinstance(line, str) else line) + b"\n")

    def line(self) -> str:
        """Read a line; an empty one is the end."""
        return self._lines.readline().decode("ascii")

    def read(self) -> Any:
        line = self.line()
        assert line.endswith("\n"), f"the server ended the connection: {line!r}"
        return json.loads(line, parse_constant=_refuse)

    def ask(self, line: str | bytes) -> Any:
        self.send(line)
        return self.read()

    def op(self, op: str, **fields: Any) -> Any:
        return self.ask(json.dumps({"op": op, **fields}))


def eventually(holds: Callable[[], bool]) -> None:
    """Look again and again; each look takes its time."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never came to that"


def play(wire: Wire, case: Case, ns: str, exact: bool = False) -> None:
    """Hold a server against a case."""
    names = {"ns": ns}
    for request, *expected in case.steps:
        wire.send(_named(request, names))
        for text in expected:
            if exact:
                assert wire.line() == _named(text, names) + "\n", request
            else:
                got = wire.read()
                same(got, json.loads(_named(text, names)), names, f"{request} -> {got}")


def same(got: Any, expected: Any, names: dict[str, str], where: str) -> None:
    """Compare, with types, and take note of what has a name."""
    if isinstance(expected, str) and (token := re.fullmatch(r"<(\w*):(hex|time|text|int)>", expected)):
        name, kind = token.groups()
        if kind == "int":
            assert type(got) is int, where
            return
        assert isinstance(got, str), where
        assert re.fullmatch(PATTERNS[kind], got), where
        if name:
            names[name] = got
        return
    assert type(got) is type(expected), where
    if isinstance(expected, dict):
        assert got.keys() == expected.keys(), where
        for key, value in expected.items():
            same(got[key], value, names, where)
    elif isinstance(expected, list):
        assert len(got) == len(expected), where
        for one, other in zip(got, expected, strict=True):
            same(one, other, names, where)
    else:
        assert got == expected, where


def _named(text: str, names: dict[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda word: names[word[1]], text)


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")
