"""What the tests of the hub share: the daemon under test and clients of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

import trunkline
from hub.daemon import Daemon


@pytest.fixture(scope="session")
def binary() -> str:
    """The binary under test."""
    path = os.environ.get("TRUNKLINE", "")
    if not path:
        pytest.fail("TRUNKLINE must name the trunkline binary to test; `make sdk-test` builds it and sets it")
    if not os.access(path, os.X_OK):
        pytest.fail(f"TRUNKLINE={path} is not a program")
    return str(Path(path).absolute())


@pytest.fixture(scope="session")
def daemon(binary: str) -> Iterator[Daemon]:
    """A daemon for all tests that leave it alone."""
    with Daemon(binary) as daemon:
        yield daemon


@pytest.fixture
def own(binary: str) -> Iterator[Daemon]:
    """A daemon for one test, that may kill it."""
    with Daemon(binary) as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[trunkline.Client]:
    with daemon.client() as client:
        yield client


@pytest_asyncio.fixture
async def aclient(daemon: Daemon) -> AsyncIterator[trunkline.AsyncClient]:
    async with trunkline.AsyncClient(daemon.home) as client:
        yield client


@pytest.fixture
def bot(client: trunkline.Client) -> trunkline.Session:
    """A session of an agent that runs elsewhere."""
    return client.register("bot")
