"""``python -m trunkline.bus``: a bus for the agents of this machine, without the daemon."""

from __future__ import annotations

import argparse
import contextlib
import logging
import resource
import signal
import sys

from trunkline.bus import Bus, BusServer

_FILES = 65_536


def main() -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m trunkline.bus", description="Serve an agent bus on TCP.")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen [default: %(default)s]")
    parser.add_argument("--port", type=int, default=9470, help="0 is any that is free [default: %(default)s]")
    parser.add_argument("--db", metavar="FILE", help="keep handoffs in this file; without, they end with the bus")
    args = parser.parse_args()
    # A connection is a file, and there may be thousands.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    with contextlib.suppress(ValueError):  # the system has a limit of its own
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    logging.basicConfig(format="%(levelname)s: %(message)s")
    ends = {signal.SIGINT, signal.SIGTERM}
    # Before there are threads, so that none of them takes the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        with Bus(db_path=args.db) as bus, BusServer(bus, args.host, args.port) as server:
            host, port = server.address
            print(f"engram-bus server listening on {host}:{port}", flush=True)
            signal.sigwait(ends)
    except OSError as error:
        print(f"error: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
