"""Lines out of a stream of bytes."""

from __future__ import annotations

__all__ = ["Lines"]


class Lines:
    """Cuts what arrives into lines. A line longer than ``limit`` is never held: it comes out as ``None``, once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes | None]:
        """Take what has arrived; return the lines that it completes, without their ends."""
        if not (self._parts or self._skipping) and data.endswith(b"\n") and len(data) <= self._limit:
            # Whole lines, as they mostly come.
            whole: list[bytes | None] = list(data.split(b"\n"))
            whole.pop()
            return whole
        lines: list[bytes | None] = []
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._add(part, lines)
            if not self._skipping:
                lines.append(b"".join(self._parts))
            self._parts, self._size, self._skipping = [], 0, False
        self._add(rest, lines)
        return lines

    def end(self) -> list[bytes | None]:
        """Return what stands after the last line's end: a line too, if there is anything."""
        return self.feed(b"\n") if self._parts else []

    def _add(self, part: bytes, lines: list[bytes | None]) -> None:
        if self._skipping or not part:
            return
        self._size += len(part)
        if self._size > self._limit:
            self._parts, self._skipping = [], True
            lines.append(None)
        else:
            self._parts.append(part)
