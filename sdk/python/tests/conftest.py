"""What the tests share: the router under test, the scripted one, and ways to wait for what happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from trunkline.stdiobus import AsyncStdioBus, BusConfig, LimitsConfig, PoolConfig, SubprocessOptions

PROGRAMS = Path(__file__).parent / "programs"
WORKER = str(PROGRAMS / "worker.py")

T = TypeVar("T")


@pytest.fixture(scope="session")
def router() -> str:
    """The binary under test."""
    path = os.environ.get("STDIO_BUS", "")
    if not path:
        pytest.fail("STDIO_BUS must name the stdio_bus binary to test; `make sdk-test` builds it and sets it")
    if not os.access(path, os.X_OK):
        pytest.fail(f"STDIO_BUS={path} is not a program")
    return path


def pool(instances: int = 1, name: str = "pool", **limits: int) -> BusConfig:
    """A configuration with one pool of scripted workers."""
    workers = PoolConfig(id=name, command=sys.executable, args=[WORKER], instances=instances)
    return BusConfig(pools=[workers], limits=LimitsConfig(**limits) if limits else None)


@contextlib.asynccontextmanager
async def running(bus: AsyncStdioBus) -> AsyncIterator[AsyncStdioBus]:
    """Run a bus, and let go of it whatever happens."""
    try:
        await bus.start()
        yield bus
        await bus.stop()
    finally:
        bus.destroy()


def real(router: str, config: BusConfig | None = None, **options: Any) -> AsyncStdioBus:
    """A bus on the router under test."""
    return AsyncStdioBus(config or pool(), subprocess=SubprocessOptions(binary_path=router), **options)


def scripted(words: str = "", config: BusConfig | None = None, **options: Any) -> AsyncStdioBus:
    """A bus on the scripted router; `words` are what it is told to do."""
    return AsyncStdioBus(config or pool(), subprocess=scripted_router(words), **options)


def scripted_router(words: str = "") -> SubprocessOptions:
    """The scripted router as a binary."""
    return SubprocessOptions(binary_path=str(PROGRAMS / "router"), env={"ROUTER": words, "PYTHON": sys.executable})


async def soon(what: Awaitable[T], within: float = 5.0) -> T:
    """Wait for something that must not take long."""
    return await asyncio.wait_for(what, within)
