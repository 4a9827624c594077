"""Bodies that take some making."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from trunkline.hub.call import drop_none, segment
from trunkline.hub.models import Choice, OnTimeout, Priority, RequestKind, Turn, millis

__all__ = ["as_id", "deadline", "directory", "number", "request", "request_path", "session_path", "until"]


class HasId(Protocol):
    """What the daemon has given an id."""

    @property
    def id(self) -> str:
        """The id."""
        ...


def as_id(thing: HasId | str) -> str:
    """Return the id of a thing, or the id that it is."""
    return thing if isinstance(thing, str) else thing.id


def deadline(
    timeout: float | None, at: datetime | None, on_timeout: OnTimeout
) -> tuple[float | None, datetime | None]:
    """Return how long to wait ourselves, and when the daemon is to decide."""
    if timeout is not None and at is not None:
        raise ValueError("give either a timeout or a deadline")
    now = datetime.now(timezone.utc)
    if on_timeout == "wait":
        return timeout if at is None else max(0.0, (at.astimezone(timezone.utc) - now).total_seconds()), None
    if timeout is not None:
        at = now + timedelta(seconds=timeout)
    if at is None:
        raise ValueError("on_timeout needs a timeout or a deadline")
    return None, at


def directory(path: str | PathLike[str] | None) -> str | None:
    """Return a directory as the daemon wants it, which works elsewhere: absolute."""
    return None if path is None else str(Path(path).absolute())


def request(
    *,
    kind: RequestKind | None,
    title: str,
    question: str,
    options: Sequence[str | Choice],
    schema: Mapping[str, Any] | None,
    context: Any,
    priority: Priority,
    tags: Sequence[str] | None,
    deadline: datetime | None,
    on_timeout: OnTimeout,
) -> dict[str, Any]:
    """Return the body of a new request."""
    return drop_none(
        kind=kind or ("question" if schema is None else "form"),
        title=title,
        question=question or None,
        options=[_choice(option) for option in options] or None,
        schema=None if schema is None else dict(schema),
        context=context,
        priority=priority,
        tags=None if tags is None else list(tags),
        deadline=None if deadline is None else millis(deadline),
        on_timeout=None if on_timeout == "wait" else on_timeout,
    )


def _choice(option: str | Choice) -> dict[str, str]:
    if isinstance(option, str):
        return {"id": option, "name": option, "kind": "choice"}
    return {"id": option.id, "name": option.name, "kind": option.kind}


def session_path(session: HasId | str, *rest: str | int) -> str:
    """Return a path below a session."""
    return "/".join(["/v1/sessions", *map(segment, (as_id(session), *rest))])


def request_path(request: HasId | str, *rest: str) -> str:
    """Return a path below a request."""
    return "/".join(["/v1/requests", *map(segment, (as_id(request), *rest))])


def number(turn: Turn | int) -> int:
    """Return the number of a turn, or the number that it is."""
    return turn if isinstance(turn, int) else turn.turn


def until(timeout: float | None) -> float | None:
    """Return when a wait is over, on the monotonic clock."""
    return None if timeout is None else time.monotonic() + timeout
