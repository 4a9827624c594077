"""What the tests of the bus share."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bus.wire import Player, Wire
from hub.conftest import binary
from hub.daemon import Daemon
from trunkline.bus import Bus, BusServer

__all__ = ["binary"]


@pytest.fixture(scope="session")
def python_server() -> Iterator[tuple[str, int]]:
    """Our own server in Python."""
    with Bus() as bus, BusServer(bus, port=0) as server:
        yield server.address


@pytest.fixture(scope="session")
def file_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The same with its handoffs in a file, which are done on another thread."""
    path = tmp_path_factory.mktemp("bus") / "handoff.db"
    with Bus(db_path=path) as bus, BusServer(bus, port=0) as server:
        yield server.address


@pytest.fixture(scope="session")
def daemon_server(binary: str) -> Iterator[tuple[str, int]]:
    """The daemon's listener."""
    with Daemon(binary) as daemon:
        runtime = json.loads((daemon.home / "runtime.json").read_bytes())
        if "engram" not in runtime:
            raise pytest.skip.Exception("THE DAEMON IS NOT HELD AGAINST THE TABLE: its runtime.json names no engram")
        host, _, port = runtime["engram"].rpartition(":")
        yield host.strip("[]"), int(port)


@pytest.fixture(params=["python", "file", "daemon"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each server of the bus that there is."""
    kind: str = request.param
    return kind


@pytest.fixture
def server(kind: str, request: pytest.FixtureRequest) -> tuple[str, int]:
    address: tuple[str, int] = request.getfixturevalue(f"{kind}_server")
    return address


@pytest.fixture
def handoffs(server: tuple[str, int]) -> None:
    """For tests that want a server that keeps handoffs."""
    with Wire(server) as wire:
        if wire.op("list_sessions").get("error") == "handoffs are not kept here":
            raise pytest.skip.Exception("THE DAEMON IS NOT HELD AGAINST THE TABLE'S HANDOFFS: it keeps none")


@pytest.fixture
def wire(server: tuple[str, int]) -> Iterator[Wire]:
    with Wire(server) as wire:
        yield wire


@pytest.fixture
def player(wire: Wire, kind: str) -> Player:
    return Player(wire, python=kind != "daemon")


@pytest.fixture
def bus() -> Iterator[Bus]:
    """A bus that is served to this test alone."""
    with Bus(serve=True, port=0) as bus:
        yield bus


@pytest.fixture
def address(bus: Bus) -> tuple[str, int]:
    assert bus.address
    return bus.address
