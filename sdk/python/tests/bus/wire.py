"""A connection to a bus, line by line, and the reading of the table of cases."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any

from bus.cases import Case

PATIENCE = 60
KINDS = {"int": int, "list": list}
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

    def hold_little(self) -> None:
        """Have the system keep little of what is not read, whatever it is set to."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)

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


class Player:
    """Holds a server against cases. One in Python has the original's words, and writes as it does."""

    def __init__(self, wire: Wire, python: bool) -> None:
        self._wire = wire
        self._python = python
        self._names = {"ns": f"n{uuid.uuid4().hex}"}

    def play(self, case: Case, exact: bool = False) -> None:
        """Hold it against one."""
        for request, *expected in case.steps:
            self._wire.send(self._named(request))
            for text in expected:
                line = self._wire.line()
                assert line.endswith("\n"), f"{request}: the server ended the connection"
                if exact and self._python:
                    assert line == self._named(text) + "\n", request
                got = json.loads(line, parse_constant=_refuse)
                self._same(got, json.loads(self._named(text)), f"{request} -> {line}")

    def _same(self, got: Any, expected: Any, where: str) -> None:
        """Compare, with types, and take note of what has a name."""
        if isinstance(expected, str) and (token := re.fullmatch(r"<(\w*):(\w+)>", expected)):
            self._fits(got, token[1], token[2], where)
            return
        assert type(got) is type(expected), where
        if isinstance(expected, dict):
            assert got.keys() == expected.keys(), where
            failed = expected.get("ok") is False and not self._python
            for key, value in expected.items():
                self._same(got[key], "<:text>" if failed and key == "error" else value, where)
        elif isinstance(expected, list):
            assert len(got) == len(expected), where
            for one, other in zip(got, expected, strict=True):
                self._same(one, other, where)
        else:
            assert got == expected, where

    def _fits(self, got: Any, name: str, kind: str, where: str) -> None:
        if kind in KINDS:
            assert type(got) is KINDS[kind], where
            return
        assert isinstance(got, str), where
        assert re.fullmatch(PATTERNS[kind], got), where
        if name:
            self._names[name] = got

    def _named(self, text: str) -> str:
        return re.sub(r"\$(\w+)", lambda word: self._names[word[1]], text)


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")
