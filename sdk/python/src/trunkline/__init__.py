"""Trunkline for Python.

Parts:

* :class:`Client` and :class:`AsyncClient`: the daemon's sessions, turns, requests, inboxes and live streams.
* :class:`SessionBusClient`: the same methods as the client of the original Session I/O Bus.
* :mod:`trunkline.stdiobus`: workers behind the ``stdio_bus`` router, with the names of the PyPI package ``stdiobus``.
  It needs nothing but the standard library.
* :mod:`trunkline.bus`: keys and values, topics and handoffs that agents share, with the names of the original
  ``engram-bus``. It needs nothing but the standard library either.

A name is imported when it is used first, so that a program pays only for the part it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from trunkline.hub import (
        Agent as Agent,
    )
    from trunkline.hub import (
        Answer as Answer,
    )
    from trunkline.hub import (
        AsyncClient as AsyncClient,
    )
    from trunkline.hub import (
        AsyncEventStream as AsyncEventStream,
    )
    from trunkline.hub import (
        AsyncStream as AsyncStream,
    )
    from trunkline.hub import (
        Attached as Attached,
    )
    from trunkline.hub import (
        BrokenError as BrokenError,
    )
    from trunkline.hub import (
        CatalogEntry as CatalogEntry,
    )
    from trunkline.hub import (
        CaughtUp as CaughtUp,
    )
    from trunkline.hub import (
        Choice as Choice,
    )
    from trunkline.hub import (
        Client as Client,
    )
    from trunkline.hub import (
        ConflictError as ConflictError,
    )
    from trunkline.hub import (
        Deleted as Deleted,
    )
    from trunkline.hub import (
        DeletedError as DeletedError,
    )
    from trunkline.hub import (
        Ended as Ended,
    )
    from trunkline.hub import (
        Event as Event,
    )
    from trunkline.hub import (
        EventPage as EventPage,
    )
    from trunkline.hub import (
        EventStream as EventStream,
    )
    from trunkline.hub import (
        FeedCaughtUp as FeedCaughtUp,
    )
    from trunkline.hub import (
        FeedEvents as FeedEvents,
    )
    from trunkline.hub import (
        FeedGap as FeedGap,
    )
    from trunkline.hub import (
        FeedItem as FeedItem,
    )
    from trunkline.hub import (
        FeedRequest as FeedRequest,
    )
    from trunkline.hub import (
        FeedSession as FeedSession,
    )
    from trunkline.hub import (
        FeedSessionCaughtUp as FeedSessionCaughtUp,
    )
    from trunkline.hub import (
        FeedSessionGap as FeedSessionGap,
    )
    from trunkline.hub import (
        FeedSessionRemoved as FeedSessionRemoved,
    )
    from trunkline.hub import (
        ForbiddenError as ForbiddenError,
    )
    from trunkline.hub import (
        Gap as Gap,
    )
    from trunkline.hub import (
        Grant as Grant,
    )
    from trunkline.hub import (
        Health as Health,
    )
    from trunkline.hub import (
        HomeError as HomeError,
    )
    from trunkline.hub import (
        IdempotencyKeyReusedError as IdempotencyKeyReusedError,
    )
    from trunkline.hub import (
        InvalidError as InvalidError,
    )
    from trunkline.hub import (
        Lost as Lost,
    )
    from trunkline.hub import (
        Me as Me,
    )
    from trunkline.hub import (
        Message as Message,
    )
    from trunkline.hub import (
        NotFoundError as NotFoundError,
    )
    from trunkline.hub import (
        NotRunningError as NotRunningError,
    )
    from trunkline.hub import (
        OnTimeout as OnTimeout,
    )
    from trunkline.hub import (
        Open as Open,
    )
    from trunkline.hub import (
        Outcome as Outcome,
    )
    from trunkline.hub import (
        Page as Page,
    )
    from trunkline.hub import (
        Priority as Priority,
    )
    from trunkline.hub import (
        ProblemError as ProblemError,
    )
    from trunkline.hub import (
        Request as Request,
    )
    from trunkline.hub import (
        RequestClosedError as RequestClosedError,
    )
    from trunkline.hub import (
        RequestKind as RequestKind,
    )
    from trunkline.hub import (
        RequestStatus as RequestStatus,
    )
    from trunkline.hub import (
        Scope as Scope,
    )
    from trunkline.hub import (
        Session as Session,
    )
    from trunkline.hub import (
        SessionState as SessionState,
    )
    from trunkline.hub import (
        StillOpenError as StillOpenError,
    )
    from trunkline.hub import (
        StillRunningError as StillRunningError,
    )
    from trunkline.hub import (
        Stream as Stream,
    )
    from trunkline.hub import (
        StreamItem as StreamItem,
    )
    from trunkline.hub import (
        TimedOutError as TimedOutError,
    )
    from trunkline.hub import (
        Token as Token,
    )
    from trunkline.hub import (
        TooLargeError as TooLargeError,
    )
    from trunkline.hub import (
        TooManyError as TooManyError,
    )
    from trunkline.hub import (
        TrunklineError as TrunklineError,
    )
    from trunkline.hub import (
        Turn as Turn,
    )
    from trunkline.hub import (
        TurnRunningError as TurnRunningError,
    )
    from trunkline.hub import (
        UnauthenticatedError as UnauthenticatedError,
    )
    from trunkline.hub import (
        UnavailableError as UnavailableError,
    )
    from trunkline.hub import (
        UnexpectedError as UnexpectedError,
    )
    from trunkline.hub import (
        UnreachableError as UnreachableError,
    )
    from trunkline.hub import (
        Usage as Usage,
    )
    from trunkline.hub import (
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
