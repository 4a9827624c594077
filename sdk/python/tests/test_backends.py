"""Which backend is taken, and what the arguments of a bus must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conftest import pool
from trunkline.stdiobus import (
    AsyncStdioBus,
    BackendMode,
    BusConfig,
    DockerOptions,
    InvalidArgumentError,
    ListenMode,
    NativeOptions,
    StdioBus,
    StdioBusBuilder,
    SubprocessOptions,
    TransportError,
    UnavailableError,
    backends,
)
from trunkline.stdiobus.backends import subprocess

LISTENS = NativeOptions(ListenMode.TCP, tcp_port=1)


@pytest.mark.parametrize(
    ("mode", "binary", "native", "listens", "chosen"),
    [
        ("auto", True, True, False, "subprocess"),
        ("auto", True, False, False, "subprocess"),
        ("auto", False, True, False, "native"),
        ("auto", False, False, False, "docker"),
        ("auto", True, True, True, "native"),
        ("auto", True, False, True, "native"),
        ("docker", True, True, False, "docker"),
        ("native", True, False, False, "native"),
        ("subprocess", False, True, False, "subprocess"),
    ],
)
def test_auto_takes_the_first_that_is_there(
    monkeypatch: pytest.MonkeyPatch, mode: str, binary: bool, native: bool, listens: bool, chosen: str
) -> None:
    monkeypatch.setattr(backends, "resolve_binary", lambda path: "/bin/stdio_bus" if binary else None)
    monkeypatch.setattr(backends, "is_native_available", lambda: native)
    found = backends.choose(BackendMode(mode), None, LISTENS if listens else None)
    assert found.value == chosen


@pytest.mark.parametrize("mode", ["docker", "subprocess"])
def test_only_the_native_one_can_listen(mode: str) -> None:
    with pytest.raises(InvalidArgumentError, match="only the native backend can listen"):
        AsyncStdioBus(pool(), backend=mode, native=LISTENS)


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        ({}, InvalidArgumentError, "is needed"),
        ({"config_path": ""}, InvalidArgumentError, "is needed"),
        ({"config": pool(), "config_path": "x"}, InvalidArgumentError, "exclude each other"),
        ({"config": BusConfig()}, ValueError, "at least one pool"),
        ({"config": pool(), "backend": "pigeon"}, ValueError, "pigeon"),
        ({"config": pool(), "native": NativeOptions("tcp")}, InvalidArgumentError, "needs tcp_port"),
        (
            {"config": pool(), "backend": "docker", "docker": DockerOptions(engine_path="/nowhere/docker")},
            UnavailableError,
            "not installed",
        ),
        ({"config_path": "/nowhere", "backend": "docker"}, TransportError, "does not exist"),
    ],
)
@pytest.mark.parametrize("kind", [AsyncStdioBus, StdioBus])
def test_arguments_that_do_not_fit(kind: Any, arguments: dict[str, Any], error: type, complaint: str) -> None:
    with pytest.raises(error, match=complaint):
        kind(**arguments)


def test_a_builder_leaves_the_checks_to_the_bus() -> None:
    with pytest.raises(InvalidArgumentError, match="is needed"):
        StdioBusBuilder().build()
    builder = StdioBusBuilder().config_path("a").config_path("b").native(NativeOptions()).docker(DockerOptions())
    with pytest.raises(InvalidArgumentError, match="exclude each other"):
        builder.config(pool()).build_sync()


async def test_no_binary_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(subprocess, "resolve_binary", lambda path: None)
    bus = AsyncStdioBus(pool(), backend="subprocess")
    with pytest.raises(TransportError, match="no stdio_bus binary"):
        await bus.start()
    bus.destroy()


async def test_an_explicit_path_is_taken_unchecked() -> None:
    bus = AsyncStdioBus(pool(), subprocess=SubprocessOptions(binary_path="/nowhere"))
    assert bus.get_backend_type() == "subprocess"
    assert bus.get_listen_mode() is ListenMode.NONE
    assert (bus.get_worker_count(), bus.get_client_count()) == (-1, -1)
    assert bus.send("{}") is False
    await bus.stop()
    bus.destroy()
