"""The requests that wait for an answer, and whose chunk a chunk is.

A worker streams text as notifications, and a notification does not have to say which request it belongs to. The
table looks, in this order, at

1. the request it names: ``params._meta.requestId`` of a worker that knows, or a top-level ``requestId``, which our
   router adds while one request only is open in a session;
2. the agent's session in ``params.sessionId``, compared with that of the requests' own params;
3. the routing session in the top-level ``sessionId``;
4. nothing: then every open request gets the chunk, as with the original.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Iterable
from typing import Any

from trunkline.stdiobus.errors import StdioBusError
from trunkline.stdiobus.wire import Answer, Notification, chunk_text

__all__ = ["Pending", "PendingTable"]


class Pending:
    """One open request.

    ``answer`` is done when the request ended in any way. A stream has a queue too, which gets the chunks and then
    ``None``. Neither the queue nor the collected chunks have a limit of their own: both hold what the answer's
    ``text`` holds at the end.
    """

    __slots__ = ("agent_session", "answer", "chunks", "id", "own", "queue", "session")

    def __init__(self, number: str, session: str, agent_session: str | None, *, stream: bool, own: bool) -> None:
        self.id = number
        self.own = own
        self.session = session
        self.agent_session = agent_session
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.queue: asyncio.Queue[str | None] | None = asyncio.Queue() if stream else None
        self.chunks: list[str] = []

    def chunk(self, text: str) -> None:
        """Take a piece of the text; after the end it is too late."""
        if self.answer.done():
            return
        self.chunks.append(text)
        if self.queue is not None:
            self.queue.put_nowait(text)

    def succeed(self, result: Any) -> None:
        """End well. The collected text is put into a result that is an object, as ``text``."""
        if self.answer.done():
            return
        if self.chunks and isinstance(result, dict):
            result["text"] = "".join(self.chunks)
        self.answer.set_result(result)
        self._end_queue()

    def fail(self, error: StdioBusError) -> None:
        """End badly; what ended before stays as it is."""
        if self.answer.done():
            return
        self.answer.set_exception(error)
        self._end_queue()

    async def texts(self) -> AsyncIterator[str]:
        """Yield the chunks of a stream until it ends; how it ended stands in ``answer``."""
        while self.queue is not None and (text := await self.queue.get()) is not None:
            yield text

    def abandon(self) -> None:
        """Say that nobody waits any more."""
        if not self.answer.cancel() and not self.answer.cancelled():
            # An error that nobody asks for would be logged as lost; here it is known to be unwanted.
            self.answer.exception()

    def _end_queue(self) -> None:
        if self.queue is not None:
            self.queue.put_nowait(None)


class PendingTable:
    """All open requests of one bus. Every operation takes constant time but those that concern all."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._open: dict[str, Pending] = {}
        self._by_session: dict[str, dict[str, Pending]] = {}
        self._by_agent_session: dict[str, dict[str, Pending]] = {}
        self._workers_name_requests = False

    def __len__(self) -> int:
        """Count the open requests, without the SDK's own."""
        return sum(1 for one in self._open.values() if not one.own)

    def open(
        self, session: str, params: dict[str, Any] | None, *, stream: bool = False, own: bool = False
    ) -> Pending:
        """Make a request with an id that no other bus uses. ``own``: it is the SDK's, and no user sees its answer."""
        named = params.get("sessionId") if params else None
        agent_session = named if isinstance(named, str) and named else None
        pending = Pending(f"{self._mark}-{next(self._numbers)}", session, agent_session, stream=stream, own=own)
        self._open[pending.id] = pending
        self._by_session.setdefault(session, {})[pending.id] = pending
        if agent_session:
            self._by_agent_session.setdefault(agent_session, {})[pending.id] = pending
        return pending

    def close(self, pending: Pending) -> None:
        """Forget a request, ended or not. Idempotent."""
        if self._open.pop(pending.id, None) is None:
            return
        _drop(self._by_session, pending.session, pending.id)
        if pending.agent_session:
            _drop(self._by_agent_session, pending.agent_session, pending.id)
        pending.abandon()

    def settle(self, answer: Answer) -> None:
        """Give an answer to whom it belongs; one that comes too late or twice belongs to nobody."""
        pending = self._open.get(answer.id)
        if pending is None:
            return
        if answer.error is not None:
            pending.fail(answer.error)
        else:
            pending.succeed(answer.result)

    def tell(self, notification: Notification) -> None:
        """Give the text of a chunk to the requests it belongs to."""
        text = chunk_text(notification.message)
        if text:
            for pending in tuple(self.owners(notification)):
                pending.chunk(text)

    def owners(self, told: Notification) -> Iterable[Pending]:
        """Return the open requests that a notification is about, by the rules above."""
        if told.request is not None:
            named = self._open.get(told.request)
            if named is not None:
                self._workers_name_requests |= told.named_by_worker
                return (named,)
            if told.request.startswith(self._mark):
                # It was ours and has ended: its late text must not get into another answer.
                return ()
        if told.agent_session in self._by_agent_session:
            of_agent = self._by_agent_session[told.agent_session].values()
            return [one for one in of_agent if one.session == told.session] or of_agent
        same = self._open.values() if told.session is None else self._by_session.get(told.session, {}).values()
        if told.agent_session is not None:
            # A request that names another session of the agent is not meant.
            return [one for one in same if one.agent_session is None]
        return same

    def is_own(self, number: str) -> bool:
        """Tell whether an id is that of an open request of the SDK itself."""
        pending = self._open.get(number)
        return pending is not None and pending.own

    def has_rival(self, stream: Pending) -> bool:
        """Tell whether another stream is open whose chunks could not be told from this one's.

        Workers that have named a request once are trusted to go on doing so.
        """
        if self._workers_name_requests:
            return False
        for one in self._by_session.get(stream.session, {}).values():
            apart = one.agent_session and stream.agent_session and one.agent_session != stream.agent_session
            if one is not stream and one.queue is not None and not one.answer.done() and not apart:
                return True
        return False

    def fail_all(self, error: StdioBusError) -> None:
        """End everything that is open with the same error."""
        for pending in tuple(self._open.values()):
            pending.fail(error)


def _drop(index: dict[str, dict[str, Pending]], name: str, number: str) -> None:
    members = index[name]
    del members[number]
    if not members:
        del index[name]
