"""Trunkline for Python.

Parts:

* :class:`Client` and :class:`AsyncClient`: the daemon's sessions, turns, requests, inboxes and live streams.
* :class:`SessionBusClient`: the same methods as the client of the original Session I/O Bus.
* :mod:`trunkline.stdiobus`: workers behind the ``stdio_bus`` router, with the names of the PyPI package ``stdiobus``.
  It needs nothing but the standard library.

A name is imported when it is used first, so that a program pays only for the part it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from trunkline.hub import (
        Agent as Agent,
        Answer as Answer,
        AsyncClient as AsyncClient,
        AsyncEventStream as AsyncEventStream,
        AsyncStream as AsyncStream,
        Attached as Attached,
        BrokenError as BrokenError,
        CatalogEntry as CatalogEntry,
        CaughtUp as CaughtUp,
        Choice as Choice,
        Client as Client,
        ConflictError as ConflictError,
        Deleted as Deleted,
        DeletedError as DeletedError,
        Ended as Ended,
        Event as Event,
        EventPage as EventPage,
        EventStream as EventStream,
        FeedCaughtUp as FeedCaughtUp,
        FeedEvents as FeedEvents,
        FeedGap as FeedGap,
        FeedItem as FeedItem,
        FeedRequest as FeedRequest,
        FeedSession as FeedSession,
        FeedSessionCaughtUp as FeedSessionCaughtUp,
        FeedSessionGap as FeedSessionGap,
        FeedSessionRemoved as FeedSessionRemoved,
        ForbiddenError as ForbiddenError,
        Gap as Gap,
        Grant as Grant,
        Health as Health,
        HomeError as HomeError,
        IdempotencyKeyReusedError as IdempotencyKeyReusedError,
        InvalidError as InvalidError,
        Lost as Lost,
        Me as Me,
        Message as Message,
        NotFoundError as NotFoundError,
        NotRunningError as NotRunningError,
        OnTimeout as OnTimeout,
        Open as Open,
        Outcome as Outcome,
        Page as Page,
        Priority as Priority,
        ProblemError as ProblemError,
        Request as Request,
        RequestClosedError as RequestClosedError,
        RequestKind as RequestKind,
        RequestStatus as RequestStatus,
        Scope as Scope,
        Session as Session,
        SessionState as SessionState,
        StillOpenError as StillOpenError,
        StillRunningError as StillRunningError,
        Stream as Stream,
        StreamItem as StreamItem,
        TimedOutError as TimedOutError,
        Token as Token,
        TooLargeError as TooLargeError,
        TooManyError as TooManyError,
        TrunklineError as TrunklineError,
        Turn as Turn,
        TurnRunningError as TurnRunningError,
        UnauthenticatedError as UnauthenticatedError,
        UnavailableError as UnavailableError,
        UnexpectedError as UnexpectedError,
        UnreachableError as UnreachableError,
        Usage as Usage,
        Waiting as Waiting,
    )
    from trunkline.sessionbus import SessionBusClient as SessionBusClient
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        part = "trunkline.sessionbus" if name == "SessionBusClient" else "trunkline.hub"
        value = globals()[name] = getattr(import_module(part), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "Agent",
    "Answer",
    "AsyncClient",
    "AsyncEventStream",
    "AsyncStream",
    "Attached",
    "BrokenError",
    "CatalogEntry",
    "CaughtUp",
    "Choice",
    "Client",
    "ConflictError",
    "Deleted",
    "DeletedError",
    "Ended",
    "Event",
    "EventPage",
    "EventStream",
    "FeedCaughtUp",
    "FeedEvents",
    "FeedGap",
    "FeedItem",
    "FeedRequest",
    "FeedSession",
    "FeedSessionCaughtUp",
    "FeedSessionGap",
    "FeedSessionRemoved",
    "ForbiddenError",
    "Gap",
    "Grant",
    "Health",
    "HomeError",
    "IdempotencyKeyReusedError",
    "InvalidError",
    "Lost",
    "Me",
    "Message",
    "NotFoundError",
    "NotRunningError",
    "OnTimeout",
    "Open",
    "Outcome",
    "Page",
    "Priority",
    "ProblemError",
    "Request",
    "RequestClosedError",
    "RequestKind",
    "RequestStatus",
    "Scope",
    "Session",
    "SessionBusClient",
    "SessionState",
    "StillOpenError",
    "StillRunningError",
    "Stream",
    "StreamItem",
    "TimedOutError",
    "Token",
    "TooLargeError",
    "TooManyError",
    "TrunklineError",
    "Turn",
    "TurnRunningError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnexpectedError",
    "UnreachableError",
    "Usage",
    "Waiting",
    "__version__",
]
