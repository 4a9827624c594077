"""Measures a server of the agent bus beside the recorded figures of the original.

``python bench/bus.py`` starts the server in Python of this repository, ``--connect HOST:PORT`` takes another. Nothing
passes or fails by time. Server and client share the machine's cores, so a figure is what both get done together; with
``--pid``, or for a server that was started here, the server's own share stands beside it. Nothing but the standard
library is needed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "sdk" / "python" / "src"
PATIENCE = 60.0
BATCH = 200
PING = b'{"op": "ping"}\n'
PUT = b'{"op": "put", "key": "k%d", "value": {"n": %d}, "agent": "bench", "namespace": "bench"}\n'
GET = b'{"op": "get", "key": "k%d", "namespace": "bench"}\n'
PUBLISH = b'{"op": "publish", "topic": "%s", "data": "%s", "agent": "bench"}\n'
HUNDRED = b"x" * 100
THOUSAND = b"x" * 1000


@dataclass
class Row:
    """One figure, what the original had, and how long each operation took."""

    what: str
    value: float
    unit: str
    original: float | None = None
    seconds: list[float] = field(default_factory=list)
    cpu: float | None = None
    """Seconds of a core that the server took for each operation."""


class Server:
    """What is measured: where it listens, and its process, if that is known."""

    def __init__(self, address: tuple[str, int], pid: int | None) -> None:
        self.address = address
        self.pid = pid

    def connect(self) -> socket.socket:
        """Connect."""
        sock = socket.create_connection(self.address, PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def rss(self) -> float | None:
        """Return how much memory it has, in MB."""
        if self.pid is None:
            return None
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return int(kilobytes) * 1024 / 1e6

    def cpu(self) -> float:
        """Return how many seconds of a core it has taken."""
        if self.pid is None:
            return 0.0
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def timed(server: Server, row: Row, seconds: float, step: Callable[[int], int]) -> Row:
    """Repeat a step, which says how many operations it did, for some time."""
    began, used, done, number = time.perf_counter(), server.cpu(), 0, 0
    end = began + seconds
    last = began
    while last < end:
        done += step(number)
        number += 1
        now = time.perf_counter()
        row.seconds.append(now - last)
        last = now
    row.value = done / (last - began)
    row.cpu = (server.cpu() - used) / done if server.pid else None
    return row


def answers(sock: socket.socket, count: int) -> None:
    """Read so many lines."""
    while count > 0:
        data = sock.recv(1 << 20)
        if not data:
            raise ConnectionError("the server ended the connection")
        count -= data.count(b"\n")


def sequential(server: Server, what: str, line: Callable[[int], bytes], original: float, seconds: float) -> Row:
    """One connection, one request after the other."""
    with server.connect() as sock:

        def step(number: int) -> int:
            sock.sendall(line(number))
            answers(sock, 1)
            return 1

        return timed(server, Row(f"1 connection, {what}", 0, "/s", original), seconds, step)


def pipelined(server: Server, what: str, line: Callable[[int], bytes], original: float, seconds: float) -> Row:
    """One connection, many requests before the first answer is read."""
    batch = b"".join(line(number) for number in range(BATCH))
    with server.connect() as sock:

        def step(_: int) -> int:
            sock.sendall(batch)
            answers(sock, BATCH)
            return BATCH

        row = timed(server, Row(f"1 connection, {what}, pipelined", 0, "/s", original), seconds, step)
    row.seconds.clear()
    return row


def many(server: Server, what: str, line: Callable[[int], bytes], original: float, seconds: float) -> Row:
    """Sixteen connections, each with one request at a time."""
    row = Row(f"16 connections, {what}", 0, "/s", original)
    with contextlib.ExitStack() as stack:
        ready = stack.enter_context(selectors.DefaultSelector())
        asked: dict[socket.socket, float] = {}
        for number in range(16):
            sock = stack.enter_context(server.connect())
            ready.register(sock, selectors.EVENT_READ)
            asked[sock] = time.perf_counter()
            sock.sendall(line(number))
        began, used, number = time.perf_counter(), server.cpu(), 0
        end = began + seconds
        now = began
        while now < end:
            for key, _ in ready.select():
                sock = key.fileobj  # type: ignore[assignment]
                answers(sock, 1)
                now = time.perf_counter()
                row.seconds.append(now - asked[sock])
                asked[sock] = now
                sock.sendall(line(number))
                number += 1
        row.value = number / (now - began)
        row.cpu = (server.cpu() - used) / number if server.pid else None
        for sock in asked:
            answers(sock, 1)
    return row


def fan_out(server: Server, subscribers: int, messages: int, original: float | None) -> list[Row]:
    """One publisher, many that listen and read."""
    topic = b"bench.%d" % subscribers
    line = PUBLISH % (topic, HUNDRED)
    with contextlib.ExitStack() as stack:
        ready = stack.enter_context(selectors.DefaultSelector())
        for _ in range(subscribers):
            sock = stack.enter_context(server.connect())
            sock.sendall(b'{"op": "subscribe", "topic": "%s"}\n' % topic)
            answers(sock, 1)
            ready.register(sock, selectors.EVENT_READ)
        publisher = stack.enter_context(server.connect())
        memory = server.rss()
        left = subscribers * messages

        def drain() -> None:
            nonlocal left
            while left > 0:
                for key, _ in ready.select():
                    left -= key.fileobj.recv(1 << 18).count(b"\n")  # type: ignore[union-attr]

        reader = threading.Thread(target=drain)
        reader.start()
        row = Row(f"publish to {subscribers:,} subscribers", 0, "/s", original)
        began, used = time.perf_counter(), server.cpu()
        for _ in range(messages):
            last = time.perf_counter()
            publisher.sendall(line)
            answers(publisher, 1)
            row.seconds.append(time.perf_counter() - last)
        reader.join()
        took = time.perf_counter() - began
        row.value = messages / took
        row.cpu = (server.cpu() - used) / messages / subscribers if server.pid else None
        rows = [row, Row("  deliveries", subscribers * messages / took, "/s", original and original * subscribers)]
        if memory is not None:
            rows.append(Row("  memory", memory, "MB", 19 if subscribers == 100 else None))  # noqa: PLR2004
        return rows


def checkpoints(server: Server, seconds: float) -> Row:
    """Checkpoints of one session, one after the other."""
    with server.connect() as sock:
        sock.sendall(b'{"op": "save_session", "agent_id": "bench"}\n')
        session = sock.recv(4096).rpartition(b'"session_id": "')[2][:12]
        line = b'{"op": "checkpoint", "session_id": "%s", "agent_id": "bench", "snapshot": {"step": 1}}\n' % session

        def step(_: int) -> int:
            sock.sendall(line)
            answers(sock, 1)
            return 1

        return timed(server, Row("1 connection, checkpoint", 0, "/s", 23_100), seconds, step)


def burst(server: Server, count: int) -> list[Row]:
    """As many connects at once, each with a question."""
    with contextlib.ExitStack() as stack:
        ready = stack.enter_context(selectors.DefaultSelector())
        began = time.perf_counter()
        for _ in range(count):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(server.address)
            ready.register(sock, selectors.EVENT_WRITE)
        served, last = 0, began
        while served < count and (patience := began + 10 - time.perf_counter()) > 0:
            for key, events in ready.select(patience):
                sock = key.fileobj  # type: ignore[assignment]
                if events & selectors.EVENT_WRITE:
                    sock.send(PING)
                    ready.modify(sock, selectors.EVENT_READ)
                elif sock.recv(4096):
                    served += 1
                    last = time.perf_counter()
                    ready.unregister(sock)
        return [
            Row(f"{count} connects at once, served in 10 s", served, "", 109),
            Row("  the last after", last - began, "s"),
        ]


def measure(server: Server, seconds: float, messages: int) -> Iterator[Row]:
    """Measure everything, in this order."""
    if (memory := server.rss()) is not None:
        yield Row("memory, idle", memory, "MB", 15.4)

    def put(number: int) -> bytes:
        return PUT % (number % 1000, number)

    def get(number: int) -> bytes:
        return GET % (number % 1000)

    yield sequential(server, "ping", lambda _: PING, 55_800, seconds)
    yield sequential(server, "put", put, 32_500, seconds)
    yield sequential(server, "get", get, 47_500, seconds)
    yield pipelined(server, "put", put, 143_000, seconds)
    yield pipelined(server, "get", get, 155_000, seconds)
    yield many(server, "put", put, 21_900, seconds)
    yield many(server, "get", get, 22_000, seconds)
    if (memory := server.rss()) is not None:
        yield Row("memory, after that", memory, "MB", 16)
    yield from fan_out(server, 1, 10 * messages, 9_600)
    yield from fan_out(server, 100, messages, 237)
    yield from fan_out(server, 1000, max(1, messages // 10), None)
    yield pipelined(server, "publish of 1 kB", lambda _: PUBLISH % (b"none", THOUSAND), 82_000, seconds)
    if (memory := server.rss()) is not None:
        yield Row("memory, after many signals of 1 kB", memory, "MB", 85)
    yield checkpoints(server, seconds)
    yield from burst(server, 500)


def show(row: Row) -> str:
    """Return a row of the table."""
    cells = [f"{row.what:<42}", f"{_number(row.value)} {row.unit}".rstrip().rjust(12)]
    cells.append((f"{_number(row.original)} {row.unit}".rstrip() if row.original else "").rjust(12))
    if len(row.seconds) > 1:
        cuts = statistics.quantiles(row.seconds, n=100)
        cells += [f"{cuts[49] * 1e6:,.0f} µs".rjust(10), f"{cuts[98] * 1e6:,.0f} µs".rjust(10)]
    else:
        cells += [" " * 10] * 2
    cells.append((f"{row.cpu * 1e6:.1f} µs" if row.cpu is not None else "").rjust(12))
    return "  ".join(cells).rstrip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004


@contextlib.contextmanager
def started(connect: str | None, pid: int | None) -> Iterator[Server]:
    """Give the server to measure; start one if none is named."""
    if connect is not None:
        host, _, port = connect.rpartition(":")
        yield Server((host.strip("[]"), int(port)), pid)
        return
    command = [sys.executable, "-m", "trunkline.bus", "--port", "0"]
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:  # noqa: S603
        try:
            assert process.stdout  # noqa: S101
            host, _, port = process.stdout.readline().rpartition(" ")[2].rpartition(":")
            yield Server((host, int(port)), process.pid)
        finally:
            process.terminate()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Measure a server of the agent bus.")
    parser.add_argument("--connect", metavar="HOST:PORT", help="the server; without, ours in Python is started")
    parser.add_argument("--pid", type=int, help="its process, to tell its memory and its share of the cores")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each rate is measured [%(default)s]")
    parser.add_argument(
        "--messages", type=int, default=1000, help="how many are published to 100 subscribers [%(default)s]"
    )
    args = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with started(args.connect, args.pid) as server:
        name = "{}:{}".format(*server.address)
        print(
            f"{name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}. "
            "The original: medians of three runs at load 4 to 10, not of this one."
        )
        print(f"{'':<42}  {'here':>12}  {'original':>12}  {'p50':>10}  {'p99':>10}  {'server CPU':>12}")
        for row in measure(server, args.seconds, args.messages):
            print(show(row), flush=True)


if __name__ == "__main__":
    main()
