"""The measurements, short ones: that they run, and on whom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bus.test_server import PROGRAM, running
from bus.wire import PATIENCE

BENCH = Path(__file__).parents[4] / "bench" / "bus.py"


def measured(*more: str) -> dict[str, list[str]]:
    command = [sys.executable, str(BENCH), "--seconds", "0.01", "--messages", "3", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=True)
    return {line[:42].strip(): line[42:].split() for line in done.stdout.splitlines()[2:]}


def test_our_own_server_is_measured() -> None:
    rows = measured()
    assert rows["1 connection, put, pipelined"][2:4] == ["143,000", "/s"]
    assert rows["publish to 1,000 subscribers"]
    assert rows["500 connects at once, served in 10 s"][0] == "500"
    assert rows["memory, idle"]


def test_another_server_is_measured() -> None:
    with running(*PROGRAM) as (_, (host, port)):
        rows = measured("--connect", f"{host}:{port}")
    assert rows["16 connections, get"]
    # Whose memory it would be is not known.
    assert "memory, idle" not in rows
