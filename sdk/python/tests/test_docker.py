"""The docker backend, with an engine that runs the router under test where a container would be."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
from pathlib import Path

import pytest

from conftest import PROGRAMS, pool, running, soon
from trunkline.stdiobus import AsyncStdioBus, DockerOptions, TransportError, UnavailableError


class Engine:
    """An engine of one test: its command, and what was asked of it."""

    def __init__(self, directory: Path, router: str) -> None:
        self._log = directory / "log"
        self.path = directory / "engine"
        settings = f"ENGINE_LOG={shlex.quote(str(self._log))} ENGINE_ROUTER={shlex.quote(router)}"
        program = shlex.quote(str(PROGRAMS / "engine"))
        self.path.write_text(f'#!/bin/sh\n{settings} exec {program} "$@"\n')
        self.path.chmod(0o755)

    def bus(self, **options: object) -> AsyncStdioBus:
        return AsyncStdioBus(pool(), backend="docker", docker=DockerOptions(engine_path=str(self.path), **options))  # type: ignore[arg-type]

    def asked(self) -> list[str]:
        return self._log.read_text().splitlines()


@pytest.fixture
def engine(router: str, tmp_path: Path) -> Engine:
    return Engine(tmp_path, router)


async def test_a_container_is_run_spoken_to_and_stopped(engine: Engine) -> None:
    bus = engine.bus(image="some/image", env={"A": "b"}, extra_args=["--init"])
    async with running(bus):
        assert (await bus.request("echo", {"a": 1}))["echo"] == {"a": 1}
        assert bus.get_backend_type() == "docker"
        assert (bus.get_worker_count(), bus.get_client_count()) == (-1, 1)
        assert [event.text or event.result async for event in bus.stream_request("stream", {"chunks": ["x"]})] == [
            "x",
            {"done": True, "text": "x"},
        ]
    version, inspect, run, stop = engine.asked()
    assert (version, inspect) == ("--version", "image inspect some/image")
    assert re.fullmatch(
        r"run --rm -d --name stdiobus-\d+-[0-9a-f]{6} -p 127\.0\.0\.1:\d+:8765"
        r" -v \S+/config\.json:/app/config\.json:ro"
        r" -e A=b --init some/image --config /app/config\.json --tcp 0\.0\.0\.0:8765",
        run,
    )
    assert re.fullmatch(r"stop -t 30 \d+", stop)


async def test_the_routers_own_stand_in_for_docker(router: str, tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\nTMPDIR={shlex.quote(str(tmp_path))} exec {shlex.quote(router)} docker "$@"\n')
    docker.chmod(0o755)
    async with running(AsyncStdioBus(pool(), backend="docker", docker=DockerOptions(engine_path=str(docker)))) as bus:
        assert (await bus.request("echo", {"a": 1}))["echo"] == {"a": 1}


async def test_two_buses_are_two_containers(engine: Engine) -> None:
    async with running(engine.bus()) as one, running(engine.bus()) as other:
        told = await asyncio.gather(one.request("echo"), other.request("echo"))
        assert told[0]["pid"] != told[1]["pid"]


async def test_ten_megabytes_each_way(engine: Engine) -> None:
    async with running(engine.bus()) as bus:
        text = "x" * 500_000
        answers = await asyncio.gather(*(bus.request("echo", {"n": n, "filling": text}) for n in range(20)))
        assert [len(answer["echo"]["filling"]) for answer in answers] == [500_000] * 20


async def test_a_lost_container_is_run_again(engine: Engine) -> None:
    back = asyncio.Event()
    async with running(engine.bus()) as bus:
        bus.on_reconnect(back.set)
        held = asyncio.ensure_future(bus.request("mute"))
        await bus.request("echo")
        os.kill(container_of(bus), signal.SIGKILL)
        with pytest.raises(TransportError, match="lost"):
            await soon(held)
        assert await soon(bus.request("echo"))
        await soon(back.wait())
    assert [line.split()[0] for line in engine.asked()].count("run") == 2


async def test_destroy_alone_kills_the_container(engine: Engine) -> None:
    bus = engine.bus()
    await bus.start()
    bus.destroy()
    assert engine.asked()[-1].startswith("kill ")


async def test_an_image_that_is_nowhere(engine: Engine) -> None:
    with pytest.raises(TransportError, match="cannot be pulled: Error: missing is nowhere"):
        await engine.bus(image="missing").start()
    bus = engine.bus(image="missing", pull_policy="never")
    async with running(bus):
        assert await bus.request("echo")


async def test_a_container_that_does_not_listen(tmp_path: Path) -> None:
    engine = Engine(tmp_path, "false")
    bus = engine.bus(startup_timeout_sec=0.2)
    with pytest.raises(TransportError, match=r"did not listen within 0\.2 s"):
        await bus.start()
    assert engine.asked()[-1].startswith("kill ")
    bus.destroy()


async def test_an_engine_that_does_not_work(tmp_path: Path) -> None:
    broken = tmp_path / "engine"
    broken.write_text("#!/bin/sh\necho out of order >&2\nexit 1\n")
    broken.chmod(0o755)
    bus = AsyncStdioBus(pool(), backend="docker", docker=DockerOptions(engine_path=str(broken)))
    with pytest.raises(UnavailableError, match="out of order"):
        await bus.start()
    bus.destroy()


def container_of(bus: AsyncStdioBus) -> int:
    """The process behind a container of the scripted engine."""
    return int(bus._backend._container)  # type: ignore[union-attr]
