"""The JSON of the bus: one object a line, as Python's ``json`` writes it, in ASCII.

Integers keep all their digits, floats are written as ``repr`` does, and lone surrogates come back as they went in.
What is read may hold ``NaN`` and ``Infinity``; they are written as ``null``, because JSON has no such numbers and a
reader in another language would refuse the whole line.
"""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["MAX_DEPTH", "BadLine", "TooDeep", "decode", "encode", "request"]

MAX_DEPTH = 256
"""How deep lists and objects may nest. Deeper ones are refused, so that no reply can be too deep to be written."""

_TOO_DEEP = f"invalid JSON: nested deeper than {MAX_DEPTH}"
# Without the search for circles, which ends in a `RecursionError` all the same.
_encode = json.JSONEncoder(allow_nan=False, check_circular=False).encode
_decode = json.JSONDecoder().decode


class BadLine(ValueError):
    """A line that is no JSON; the text is what its sender is told."""


class TooDeep(BadLine):
    """A line that nests deeper than can be read."""


def encode(value: object) -> bytes:
    """Return a value as a line.

    Raises:
        TypeError: it holds what JSON has no form for.
        ValueError: it holds an integer of more digits than Python writes.
        RecursionError: it is too deep, or holds itself.
    """
    try:
        text = _encode(value)
    except ValueError:
        text = _encode(_finite(value))
    return text.encode("ascii") + b"\n"


def decode(line: bytes) -> Any:
    """Return the value of a line.

    Raises:
        BadLine: it is not JSON.
    """
    return _parse(_text(line))


def request(line: bytes) -> dict[str, Any] | None:
    """Return the object of a line, or nothing for a line of blanks.

    Raises:
        BadLine: it is something else, or nests too deep.
    """
    text = _text(line)
    if not text:
        return None
    value = _parse(text)
    if not isinstance(value, dict):
        raise BadLine(f"{type(value).__name__!r} object has no attribute 'get'")
    # Few lines have so many brackets, so few are looked at.
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise TooDeep(_TOO_DEEP)
    return value


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise BadLine("invalid UTF-8") from None


def _parse(text: str) -> Any:
    try:
        return _decode(text)
    except ValueError:
        raise BadLine("invalid JSON") from None
    except RecursionError:
        raise TooDeep(_TOO_DEEP) from None


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def _finite(value: Any) -> Any:
    """Return a copy without the numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        made = {}
        for key, item in value.items():
            # A key is text in any case.
            name = str(key) if isinstance(key, float) and not math.isfinite(key) else key
            made[name] = _finite(item)
        return made
    if isinstance(value, (list, tuple)):
        # Not a comprehension, which is one more frame for each level.
        return list(map(_finite, value))
    return value
