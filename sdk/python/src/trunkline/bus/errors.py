"""What goes wrong on a bus."""

from __future__ import annotations

__all__ = ["BusError"]


class BusError(RuntimeError):
    """The bus refused; the text says why. A ``RuntimeError``, as programs of the original expect."""
