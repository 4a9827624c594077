"""How a program of the same user finds its daemon: two files and a socket in the home directory."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from trunkline.hub.errors import HomeError, NotRunningError

__all__ = ["Origin", "default_home", "discover"]

SOCKET = "run/trunkline.sock"


@dataclass(frozen=True)
class Origin:
    """Where a daemon is and what opens it."""

    base_url: str
    token: str | None = field(default=None, repr=False)
    socket: str | None = None


def default_home() -> Path:
    """``TRUNKLINE_HOME``, else ``~/.trunkline``, as the daemon takes it."""
    named = os.environ.get("TRUNKLINE_HOME")
    return Path(named).absolute() if named else Path.home() / ".trunkline"


def discover(home: Path) -> Origin:
    """Find the daemon of a home directory.

    A port that a daemon has left can be taken by any user of the machine, who would then be sent the token. The
    socket lies in a directory that only its owner may enter, so it is preferred.

    Raises:
        NotRunningError: there is no ``runtime.json``.
        HomeError: it, or the token, cannot be read. Whether the daemon it names is alive shows with the first call.
    """
    base_url = read_runtime(home)
    if base_url is None:
        raise NotRunningError(f"no daemon runs in {home}")
    path = home / "token"
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise HomeError(f"cannot use {path}: {error}") from error
    socket = home / SOCKET
    return Origin(base_url, token, str(socket) if socket.exists() else None)


def read_runtime(home: Path) -> str | None:
    """Return the address in ``runtime.json``; ``None`` if there is no such file."""
    path = home / "runtime.json"
    try:
        runtime = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise HomeError(f"cannot use {path}: {error}") from error
    base_url = runtime.get("base_url") if isinstance(runtime, dict) else None
    if not isinstance(base_url, str) or not base_url:
        raise HomeError(f"cannot use {path}: it has no base_url")
    return base_url.rstrip("/")
