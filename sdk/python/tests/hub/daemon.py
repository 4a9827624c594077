"""A daemon in a home of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import trunkline

PATIENCE = 60


class Daemon:
    """The binary under test, and a temporary home that outlives its crashes."""

    def __init__(self, binary: str) -> None:
        self.binary = binary
        # Not pytest's directory: the path of a Unix socket is short.
        self.root = Path(tempfile.mkdtemp(prefix="tl-"))
        self.home = self.root / "home"
        self.work = self.root / "work"
        self.work.mkdir()
        self.env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.root),
            "TRUNKLINE_HOME": str(self.home),
            "TRUNKLINE_LISTEN": "127.0.0.1:0",
            "TRUNKLINE_ENGRAM_LISTEN": "127.0.0.1:0",
        }
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Daemon:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.remove()

    def start(self) -> None:
        process = subprocess.Popen(
            [self.binary, "serve"],
            env=self.env,
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._process = process
        assert process.stderr is not None
        said = ""
        while "ready" not in said:
            line = process.stderr.readline()
            assert line, f"the daemon ended: {said}"
            said += line
        threading.Thread(target=_drain, args=(process,), daemon=True).start()

    def kill(self) -> None:
        """As ``kill -9`` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE)

    def stop(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def remove(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def client(self) -> trunkline.Client:
        return trunkline.Client(self.home)

    def demo(self, pace: int = 1) -> list[str]:
        """The demo agent, quicker than people read."""
        return [self.binary, "demo-agent", "--pace", str(pace)]

    @property
    def token(self) -> str:
        return (self.home / "token").read_text().strip()


def _drain(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    with process.stderr:
        while process.stderr.read(65536):
            pass


class Cutter:
    """Passes connections on to a daemon, and cuts the first ones when the daemon has answered, unheard."""

    def __init__(self, base_url: str, cuts: int) -> None:
        url = urlsplit(base_url)
        self._to = (url.hostname or "", url.port or 0)
        self._cuts = cuts
        self._server = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.cut = 0
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Cutter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cuts = -1
        with contextlib.suppress(OSError):
            socket.create_connection(self._server.getsockname()).close()
        self._thread.join(PATIENCE)
        self._server.close()

    def _serve(self) -> None:
        """One request and its answer for each connection, one after the other."""
        while True:
            ours, _ = self._server.accept()
            with ours:
                if self._cuts < 0:
                    return
                with socket.create_connection(self._to) as theirs:
                    theirs.sendall(_message(ours))
                    answer = _message(theirs)
                    if self.cut < self._cuts:
                        self.cut += 1
                    else:
                        ours.sendall(answer)


def _message(source: socket.socket) -> bytes:
    """Read one message of HTTP with a length."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += _some(source)
    head, _, body = read.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields.get(b"content-length", b"0"))
    while len(body) < length:
        body += _some(source)
    # One connection, one request.
    return head + b"\r\nconnection: close\r\n\r\n" + body


def _some(source: socket.socket) -> bytes:
    some = source.recv(65536)
    assert some, "the connection ended in the middle"
    return some


@contextlib.contextmanager
def thread(target: object, *args: object) -> Iterator[None]:
    """Run something beside the test; raise what it raises."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            target(*args)  # type: ignore[operator]
        except BaseException as error:  # raised below
            failed.append(error)

    beside = threading.Thread(target=run, daemon=True)
    beside.start()
    yield
    beside.join(PATIENCE)
    assert not beside.is_alive(), "what runs beside the test has not ended"
    if failed:
        raise failed[0]
