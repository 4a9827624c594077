"""The server as a program of its own, with many connections, and with none left."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.wire import PATIENCE, Wire
from trunkline.bus import Bus

PROGRAM = [sys.executable, "-m", "trunkline.bus", "--port", "0"]
FEW = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
runpy.run_module("trunkline.bus", run_name="__main__")
"""


@contextlib.contextmanager
def running(*command: str) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            said, _, address = process.stdout.readline().rpartition(" ")
            assert said == "engram-bus server listening on"
            host, port = address.split(":")
            yield process, (host, int(port))
        finally:
            process.kill()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop_and_keeps_handoffs(tmp_path: Path, by: signal.Signals) -> None:
    path = tmp_path / "handoff.db"
    for turn in range(2):
        with running(*PROGRAM, "--db", str(path)) as (process, address), Wire(address) as wire:
            assert wire.op("save_session", agent_id=f"a{turn}")["ok"] is True
            process.send_signal(by)
            assert wire.line() == ""
            said, complained = process.communicate(timeout=PATIENCE)
            assert (process.returncode, said, complained) == (0, "", "")
    with Bus(db_path=path) as bus:
        assert [session["agent_id"] for session in bus.list_sessions()] == ["a1", "a0"]


def test_a_port_in_use_is_a_plain_error(address: tuple[str, int]) -> None:
    command = [sys.executable, "-m", "trunkline.bus", "--port", str(address[1])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: 127.0.0.1:{address[1]} is in use; is a bus served there already?")


def test_five_hundred_connect_at_once() -> None:
    with running(*PROGRAM) as (_, address), contextlib.ExitStack() as stack:
        socks = []
        for _ in range(500):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(address)
            socks.append(sock)
        for sock in socks:
            sock.settimeout(PATIENCE)
            sock.sendall(b'{"op": "ping"}\n')
        for sock in socks:
            assert sock.recv(100) == b'{"ok": true, "pong": true}\n'


def test_whoever_finds_no_room_gets_a_turn_later() -> None:
    with running(sys.executable, "-c", FEW, "--port", "0") as (_, address):
        wires = [Wire(address) for _ in range(60)]
        for wire in wires:
            wire.send('{"op": "ping"}')
        # Those that were there first have been served; each that goes makes room for one that waits.
        for wire in wires:
            assert wire.read() == {"ok": True, "pong": True}
            wire.close()
