"""The native backend, with the library of the original package.

The library is in another process: what is wrong with it must not be wrong with the tests.
"""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from conftest import PROGRAMS, WORKER, soon
from trunkline.stdiobus.backends import is_native_available, native

SCRIPT = f"""
import asyncio, json, sys
from trunkline.stdiobus import AsyncStdioBus, BusConfig, InvalidStateError, PoolConfig, TransportError

async def main():
    workers = PoolConfig("pool", sys.executable, [{WORKER!r}], 2)
    told = {{}}
    async with AsyncStdioBus(BusConfig([workers]), backend="native") as bus:
        told["type"], told["workers"] = bus.get_backend_type(), bus.get_worker_count()
        told["running"] = bus.is_running()
        told["echo"] = (await bus.request("echo", {{"a": 1}}))["echo"]
        answers = await asyncio.gather(*(bus.request("echo", {{"n": n}}) for n in range(100)))
        told["many"] = [answer["echo"]["n"] for answer in answers] == list(range(100))
        events = bus.stream_request("stream", {{"chunks": ["x", "y"]}})
        told["stream"] = [event.text or event.result async for event in events]
        told["sent"] = bus.get_stats().messages_in
    wrong = AsyncStdioBus(config_path="/nowhere", backend="native")
    try:
        await wrong.start()
    except TransportError as error:
        told["wrong"] = error.message
    wrong.destroy()
    print(json.dumps(told))

asyncio.run(main())
"""


async def test_the_library_in_its_own_process() -> None:
    assert is_native_available(), "the pinned stdiobus must bring its compiled library; was there no C compiler?"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, stdout=asyncio.subprocess.PIPE, cwd=PROGRAMS
    )
    out, _ = await soon(process.communicate(), 20)
    assert json.loads(out) == {
        "type": "native",
        "workers": 2,
        "running": True,
        "echo": {"a": 1},
        "many": True,
        "stream": ["x", "y", {"done": True, "text": "xy"}],
        "sent": 102,
        "wrong": "the native router refuses its configuration; its reason is in the log",
    }


def test_without_a_library_there_is_no_native_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_load", lambda: None)
    assert not is_native_available()
    with pytest.raises(ImportError):
        native.NativeBackend(config_json="{}")
