"""A container engine that contains nothing: `run` starts a router here, on the port and with the file it was given.

The router is `ENGINE_ROUTER`, a command as JSON. What was asked of the engine is added to `ENGINE_LOG`, a line each.
A container's id is the process id of its router.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path


def run(arguments: list[str]) -> int:
    """Start a container in the background and print its id."""
    host, port, _ = arguments[arguments.index("-p") + 1].split(":")
    config = arguments[arguments.index("-v") + 1].split(":")[0]
    command = [*json.loads(os.environ["ENGINE_ROUTER"]), "--config", config, "--tcp", f"{host}:{port}"]
    with Path(os.devnull).open("r+b") as nowhere:
        router = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)
    print(f"{router.pid}")
    # The engine ends before its container; nobody here will wait for it.
    router.returncode = 0
    return 0


def end(container: str, number: signal.Signals) -> int:
    """End a container."""
    try:
        os.kill(int(container), number)
    except ProcessLookupError:
        print(f"Error: No such container: {container}", file=sys.stderr)
        return 1
    return 0


def main(arguments: list[str]) -> int:
    """Do one command of the engine."""
    with Path(os.environ["ENGINE_LOG"]).open("a", encoding="utf-8") as log:
        log.write(" ".join(arguments) + "\n")
    if arguments[0] == "run":
        return run(arguments[1:])
    if arguments[0] == "stop":
        return end(arguments[-1], signal.SIGTERM)
    if arguments[0] == "kill":
        return end(arguments[-1], signal.SIGKILL)
    if arguments[0] in ("image", "logs"):
        return 1 if "missing" in arguments[-1] else 0
    if arguments[0] == "pull":
        print(f"Error: {arguments[-1]} is nowhere", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
