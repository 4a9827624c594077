"""Where a stream stands, and what its events mean: what makes it go on with no gap and no double."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from trunkline.hub.call import Call, query, segment
from trunkline.hub.items import (
    CaughtUp,
    Deleted,
    FeedCaughtUp,
    FeedEvents,
    FeedGap,
    FeedItem,
    FeedRequest,
    FeedSession,
    FeedSessionCaughtUp,
    FeedSessionGap,
    FeedSessionRemoved,
    Gap,
    Lost,
    Open,
    StreamItem,
)
from trunkline.hub.models import Event, Request, Session
from trunkline.hub.sse import ServerSentEvent

__all__ = ["Cursor", "FeedCursor", "SessionCursor"]

Item = TypeVar("Item")


class Cursor(Generic[Item]):
    """A place in a stream. It outlives connections."""

    over = False
    """Whether the stream has ended by itself."""

    def call(self) -> Call:
        """What to ask for next."""
        raise NotImplementedError

    def read(self, event: ServerSentEvent) -> Item | None:
        """Take an event and move on; ``None`` if it tells nothing new."""
        raise NotImplementedError

    def opened(self) -> Item | Open:
        """The daemon answers."""
        return Open()

    def lost(self, lost: Lost) -> Item | Lost:
        """The connection is gone."""
        return lost


class SessionCursor(Cursor[StreamItem]):
    """The place in a session's log."""

    def __init__(self, session: str, after: int, client: str | None) -> None:
        self.session = session
        self.last = after
        self._path = f"/v1/sessions/{segment(session)}/events{query(client=client)}"

    def call(self) -> Call:
        """See :class:`Cursor`."""
        return Call.stream(self._path, {"last-event-id": str(self.last)})

    def read(self, event: ServerSentEvent) -> StreamItem | None:
        """See :class:`Cursor`."""
        if event.name == "message":
            read = Event.model_validate_json(event.data)
            if read.seq <= self.last:
                return None
            self.last = read.seq
            return read
        if event.name == "caught-up":
            return CaughtUp(int(_object(event.data)["head"]))
        if event.name == "gap":
            first = int(_object(event.data)["first"])
            self.last = max(self.last, first - 1)
            return Gap(first)
        if event.name == "deleted":
            self.over = True
            return Deleted()
        return None


class FeedCursor(Cursor[FeedItem]):
    """The place in the feed, and in each log that was asked for."""

    def __init__(self, after: int | str | None, sessions: Mapping[str, int], client: str | None) -> None:
        self.after = None if after is None else str(after)
        self.sessions = dict(sessions)
        self._client = client
        # The connection was lost before there was a place to go on from: what happened meanwhile is not told.
        self._blind = False

    def call(self) -> Call:
        """See :class:`Cursor`."""
        logs = ",".join(f"{session}:{seq}" for session, seq in self.sessions.items())
        return Call.stream("/v1/feed" + query(after=self.after, sessions=logs or None, client=self._client))

    def opened(self) -> FeedItem:
        """See :class:`Cursor`."""
        if self._blind:
            self._blind = False
            return FeedGap()
        return Open()

    def lost(self, lost: Lost) -> FeedItem:
        """See :class:`Cursor`."""
        self._blind = self.after is None
        return lost

    def read(self, event: ServerSentEvent) -> FeedItem | None:
        """See :class:`Cursor`."""
        item = self._read(event.name, event.data)
        if event.id:
            self.after = event.id
        return item

    def _read(self, name: str, data: str) -> FeedItem | None:  # noqa: PLR0911 - one for each event
        if name == "events":
            return self._events(_object(data))
        if name == "session":
            return FeedSession(Session.model_validate_json(data))
        if name == "request":
            return FeedRequest(Request.model_validate_json(data))
        if name == "session-removed":
            gone = str(_object(data)["id"])
            self.sessions.pop(gone, None)
            return FeedSessionRemoved(gone)
        if name == "caught-up":
            return FeedCaughtUp()
        if name == "gap":
            return FeedGap()
        return None

    def _events(self, data: dict[str, Any]) -> FeedItem | None:
        session = str(data["session"])
        last = self.sessions.get(session, 0)
        events = [Event.model_validate(event) for event in data["events"] if event["seq"] > last]
        if events:
            self.sessions[session] = events[-1].seq
            return FeedEvents(session, events)
        if data.get("gap") is not None:
            return FeedSessionGap(session, int(data["gap"]))
        if data.get("head") is not None:
            return FeedSessionCaughtUp(session, int(data["head"]))
        return None


def _object(data: str) -> dict[str, Any]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - the daemon's mistake, not a type of ours
    return value
