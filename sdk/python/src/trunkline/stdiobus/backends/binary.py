"""Where the router's binary is."""

from __future__ import annotations

import shutil

__all__ = ["resolve_binary"]


def resolve_binary(explicit_path: str = "") -> str | None:
    """Return ``explicit_path`` unchecked if there is one, else ``stdio_bus`` on ``PATH``, else ``None``."""
    return explicit_path or shutil.which("stdio_bus")
