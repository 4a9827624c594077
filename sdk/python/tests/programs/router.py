"""A router in fifty lines with one worker inside, for what a real one does not do when it is told to.

It is `stdio_bus` as far as its arguments go. `ROUTER` in its environment is a list of words:

* `ours`: it says that it is Trunkline's, answers `stdio_bus/status`;
* `silent`: nothing on stderr;
* `deaf`: neither the end of stdin nor SIGTERM ends it;
* `ends=N`: it exits with code N at once, with a reason;
* `ends-in=FILE`: it exits with code 1 as long as the file exists;
* `stuck`: it never reads its stdin;
* `chatty`: much on stderr, and lines on stdout that are no messages.
"""

from __future__ import annotations

import json
import os
import signal
import socketserver
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from worker import Message, Worker

WORDS = os.environ.get("ROUTER", "").split()
OURS = "ours" in WORDS


class Router:
    """One client's view of the router."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._worker = Worker(lambda message: write(json.dumps(message)))

    def serve(self, lines: Iterable[str]) -> None:
        """Serve one client until its lines end."""
        for line in lines:
            self._from_client(json.loads(line))

    def _from_client(self, message: Message) -> None:
        if OURS and message.get("method") == "stdio_bus/status":
            self._write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": status()}))
        elif message.get("method") == "router/exit":
            os._exit(message["params"]["code"])
        else:
            self._worker.handle(message)


def status() -> Message:
    """Return counts that no other part of a test has."""
    workers = [{"state": "up", "restarts": 5}, {"state": "up", "restarts": 6}, {"state": "half-open", "restarts": 0}]
    pools = [{"id": "pool", "workers": [*workers, {"state": "waiting", "restarts": 0}]}]
    return {"pools": pools, "sessions": 5, "pending": 7, "clients": 2, "errors": {"UNAVAILABLE": 13}}


def configuration(arguments: list[str]) -> Message:
    """Read the configuration from where the arguments say."""
    if "--config-fd" in arguments:
        with os.fdopen(int(arguments[arguments.index("--config-fd") + 1])) as file:
            text = file.read()
    else:
        text = Path(arguments[arguments.index("--config") + 1]).read_text("utf-8")
    config: Message = json.loads(text)
    return config


def log(line: str) -> None:
    """Tell something on stderr."""
    if "silent" not in WORDS:
        print(line, file=sys.stderr, flush=True)


def write(line: str) -> None:
    """Tell the client of stdio something."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def tcp(address: str) -> None:
    """Serve clients over TCP, one after the other."""
    host, port = address.rsplit(":", 1)

    class Client(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            def send(line: str) -> None:
                self.wfile.write(line.encode() + b"\n")

            Router(send).serve(line.decode() for line in self.rfile)

    with socketserver.TCPServer((host, int(port)), Client) as server:
        server.serve_forever()


def end_early() -> None:
    """Exit with a reason, if that is what this run is for."""
    for word in WORDS:
        name, _, value = word.partition("=")
        if name == "ends" or (name == "ends-in" and Path(value).exists()):
            print("config: pool 'p' must have at least 1 instance", file=sys.stderr, flush=True)
            sys.exit(int(value) if name == "ends" else 1)


def main(arguments: list[str]) -> None:
    """Be the router that the arguments and the environment ask for."""
    end_early()
    config = configuration(arguments)
    log("stdio_bus 9.9.9 starting" if OURS else "stdio Bus kernel v0.1.0 starting")
    log(f"{len(config['pools'])} pools, status {config.get('status')}")
    if "deaf" in WORDS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "chatty" in WORDS:
        for number in range(20_000):
            log(f"line {number} of a router that likes to talk")
        write("this is no message")
        write("[1]")
        write('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}')
    if "--tcp" in arguments:
        tcp(arguments[arguments.index("--tcp") + 1])
        return
    log("ready")
    # The original SDK keeps a thread in a read of stderr for as long as that is open.
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    if "stuck" in WORDS:
        signal.pause()
    Router(write).serve(sys.stdin)
    while "deaf" in WORDS:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
