"""What streams give beside events. Everything a stream gives has a ``type`` to tell it by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from trunkline.hub.errors import TrunklineError
from trunkline.hub.models import Event, Request, Session

__all__ = [
    "CaughtUp",
    "Deleted",
    "FeedCaughtUp",
    "FeedEvents",
    "FeedGap",
    "FeedItem",
    "FeedRequest",
    "FeedSession",
    "FeedSessionCaughtUp",
    "FeedSessionGap",
    "FeedSessionRemoved",
    "Gap",
    "Lost",
    "Open",
    "StreamItem",
]


@dataclass(frozen=True)
class Open:
    """The daemon answers, for the first time or again."""

    type: ClassVar[str] = "open"


@dataclass(frozen=True)
class Lost:
    """The connection is lost. The stream goes on by itself, without a gap, once the daemon is back."""

    error: TrunklineError
    type: ClassVar[str] = "lost"


@dataclass(frozen=True)
class CaughtUp:
    """What was there is told, up to ``head``; what comes now is live. Told for each connection."""

    head: int
    type: ClassVar[str] = "caught-up"


@dataclass(frozen=True)
class Gap:
    """Events before ``first`` are gone for good, because the daemon no longer keeps them."""

    first: int
    type: ClassVar[str] = "gap"


@dataclass(frozen=True)
class Deleted:
    """The session was deleted. The stream ends here."""

    type: ClassVar[str] = "deleted"


StreamItem: TypeAlias = Event | CaughtUp | Gap | Deleted | Lost | Open
"""What :meth:`Client.attach` gives."""


@dataclass(frozen=True)
class FeedSession:
    """A session is new, or looks like this now."""

    session: Session
    type: ClassVar[str] = "session"


@dataclass(frozen=True)
class FeedSessionRemoved:
    """A session was deleted."""

    session: str
    type: ClassVar[str] = "session-removed"


@dataclass(frozen=True)
class FeedRequest:
    """A request is new, or looks like this now."""

    request: Request
    type: ClassVar[str] = "request"


@dataclass(frozen=True)
class FeedEvents:
    """New events of a session that was asked for; never empty. Each comes once and in order."""

    session: str
    events: list[Event]
    type: ClassVar[str] = "events"


@dataclass(frozen=True)
class FeedSessionCaughtUp:
    """All events a session had, up to ``head``, are told; what comes now is live."""

    session: str
    head: int
    type: ClassVar[str] = "session-caught-up"


@dataclass(frozen=True)
class FeedSessionGap:
    """Events of a session before ``first`` are gone for good."""

    session: str
    first: int
    type: ClassVar[str] = "session-gap"


@dataclass(frozen=True)
class FeedCaughtUp:
    """What had happened since the cursor is told; what comes now is live."""

    type: ClassVar[str] = "caught-up"


@dataclass(frozen=True)
class FeedGap:
    """Something may have happened that is not told: load the lists again."""

    type: ClassVar[str] = "gap"


FeedItem: TypeAlias = (
    FeedSession
    | FeedSessionRemoved
    | FeedRequest
    | FeedEvents
    | FeedSessionCaughtUp
    | FeedSessionGap
    | FeedCaughtUp
    | FeedGap
    | Lost
    | Open
)
"""What :meth:`Client.feed` gives."""
