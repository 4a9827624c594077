"""The client: one method for each thing the daemon can do, and the waits that are made of them."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from os import PathLike
from typing import Any

from trunkline.hub import body
from trunkline.hub._async.base import AsyncBase
from trunkline.hub._async.stream import AsyncEventStream, AsyncStream
from trunkline.hub.backoff import Backoff
from trunkline.hub.body import as_id, request_path, session_path
from trunkline.hub.call import Call, drop_none, query, segment
from trunkline.hub.cursor import FeedCursor, SessionCursor
from trunkline.hub.errors import NotFoundError, StillOpenError, StillRunningError, TrunklineError
from trunkline.hub.items import Deleted, FeedItem, Gap
from trunkline.hub.models import (
    Agent,
    Attached,
    CatalogEntry,
    Choice,
    Event,
    EventPage,
    Grant,
    Health,
    Me,
    Message,
    OnTimeout,
    Page,
    Priority,
    Request,
    RequestKind,
    RequestStatus,
    Scope,
    Session,
    SessionState,
    Token,
    Turn,
    Waiting,
    millis,
)
from trunkline.hub.pause import AsyncPause

__all__ = ["AsyncClient"]

_POLL = 60.0


class AsyncClient(AsyncBase):
    """A daemon, as seen from outside.

    * Without arguments: the daemon of the home directory (``TRUNKLINE_HOME``, else ``~/.trunkline``), by its Unix
      socket, with the owner's token. When it moves, the client and its streams follow.
    * With ``home``: the daemon of that directory.
    * With ``base_url`` and ``token``: any daemon.

    What it changes carries an idempotency key, and is sent once more if the connection breaks, so that it happens
    once. Give ``idempotency_key`` to repeat a call yourself, also from another process. Making tokens is never
    repeated.

    Sessions, requests and messages are given as what this client returned, or by their ids.
    """

    # The daemon

    async def health(self) -> Health:
        """Whether the daemon lives. Needs no token."""
        return await self._get("/health", Health)

    async def me(self) -> Me:
        """Who this client is to the daemon."""
        return await self._get("/v1/me", Me)

    async def catalog(self) -> list[CatalogEntry]:
        """List the agents one can run."""
        return await self._list("/v1/catalog", CatalogEntry)

    async def agents(self) -> list[Agent]:
        """List the agents that run."""
        return await self._list("/v1/agents", Agent)

    # Sessions

    async def create_session(
        self,
        agent: str | None = None,
        *,
        workspace: str | PathLike[str] | None = None,
        argv: Sequence[str] | None = None,
        driver: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Session:
        """Make a session of an agent in the catalog, or of any command line that speaks ACP (``argv``).

        ``workspace`` is the directory it works in.
        """
        new = drop_none(
            agent=agent,
            workspace=body.directory(workspace),
            argv=None if argv is None else list(argv),
            driver=driver,
            title=title,
            metadata=None if metadata is None else dict(metadata),
        )
        return await self._command("/v1/sessions", Session, new, idempotency_key)

    async def register(
        self,
        name: str,
        *,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Session:
        """Make a session of this program: one that the daemon does not run, but that asks people and has an inbox."""
        return await self.create_session(
            name, driver="external", title=title, metadata=metadata, idempotency_key=idempotency_key
        )

    async def sessions_page(
        self,
        *,
        state: SessionState | None = None,
        agent: str | None = None,
        workspace: str | PathLike[str] | None = None,
        project: str | PathLike[str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Session]:
        """List sessions, newest activity first: one page."""
        params = query(
            state=state,
            agent=agent,
            workspace=body.directory(workspace),
            project=body.directory(project),
            limit=limit,
            cursor=cursor,
        )
        return await self._get("/v1/sessions" + params, Page[Session])

    async def sessions(
        self,
        *,
        state: SessionState | None = None,
        agent: str | None = None,
        workspace: str | PathLike[str] | None = None,
        project: str | PathLike[str] | None = None,
    ) -> AsyncIterator[Session]:
        """List sessions, newest activity first: all, page by page."""
        cursor = None
        while True:
            page = await self.sessions_page(
                state=state, agent=agent, workspace=workspace, project=project, cursor=cursor
            )
            for session in page.items:
                yield session
            cursor = page.next
            if cursor is None:
                return

    async def session(self, session: Session | str) -> Session:
        """Return a session as it is now."""
        return await self._get(session_path(session), Session)

    async def update_session(
        self,
        session: Session | str,
        *,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Session:
        """Change a session's title or metadata; what is not given stays."""
        change = drop_none(title=title, metadata=None if metadata is None else dict(metadata))
        return await self._command(session_path(session), Session, change, idempotency_key, "PATCH")

    async def close_session(self, session: Session | str, *, idempotency_key: str | None = None) -> Session:
        """Close a session: its log stays, its agent ends."""
        return await self._command(session_path(session, "close"), Session, None, idempotency_key)

    async def delete_session(self, session: Session | str) -> None:
        """Delete a session with its log."""
        await self._transport.content(Call.delete(session_path(session)))

    async def presence(self, session: Session | str) -> list[Attached]:
        """List who is attached to a session."""
        return await self._list(session_path(session, "presence"), Attached)

    # The log

    async def events(self, session: Session | str, after: int = 0, *, limit: int | None = None) -> EventPage:
        """Read a page of a session's log."""
        return await self._get(session_path(session, "events") + query(after=after, limit=limit), EventPage)

    def attach(self, session: Session | str, after: int = 0, *, client: str | None = None) -> AsyncEventStream:
        """Follow a session: its log from ``after`` on, then live, with no gap and no double.

        Gives :class:`Event`, and beside them :class:`Open`, :class:`CaughtUp`, :class:`Gap`, :class:`Lost` and
        :class:`Deleted`; each has a ``type``. To go on later, give the ``last`` of the stream as ``after``. With
        ``client`` this program is listed by that name among those attached.
        """
        return AsyncEventStream(self._transport, SessionCursor(as_id(session), after, client))

    def feed(
        self,
        after: int | str | None = None,
        *,
        sessions: Mapping[str, int] | None = None,
        client: str | None = None,
    ) -> AsyncStream[FeedItem]:
        """Follow what happens to all sessions and requests, and the logs of some, each after the number given.

        Take the lists first (``sessions_page``, ``requests_page``), then the feed with their ``at``: nothing is
        missed.
        """
        return AsyncStream(self._transport, FeedCursor(after, sessions or {}, client))

    async def blob(self, session: Session | str, sha256: str) -> Any:
        """Read the whole of an update that was too large for the log; its event has ``data["blob"]``."""
        return json.loads(await self._transport.content(Call.get(session_path(session, "blobs", sha256))))

    # Turns

    async def prompt(
        self,
        session: Session | str,
        prompt: str | Sequence[Mapping[str, Any]],
        *,
        queue: bool = False,
        timeout: float | None = None,
        idempotency_key: str | None = None,
    ) -> Turn:
        """Ask the agent of a session for a turn, by a text or by content blocks of ACP.

        With ``queue`` it waits while another turn runs, rather than raise :class:`TurnRunningError`. ``timeout`` is
        how long the turn may run, in seconds.
        """
        new = drop_none(
            prompt=prompt if isinstance(prompt, str) else [dict(block) for block in prompt],
            when_busy="queue" if queue else None,
            timeout_ms=None if timeout is None else round(timeout * 1000),
        )
        return await self._command(session_path(session, "turns"), Turn, new, idempotency_key)

    async def turn(self, session: Session | str, turn: Turn | int) -> Turn:
        """Return where a turn stands."""
        return await self._get(session_path(session, "turns", body.number(turn)), Turn)

    async def wait_for_turn(self, session: Session | str, turn: Turn | int, *, timeout: float | None = None) -> Turn:
        """Wait until a turn has ended, or was taken back, also over restarts of the daemon.

        Raises:
            StillRunningError: it has not within ``timeout`` seconds. It goes on.
        """
        until = body.until(timeout)
        number = body.number(turn)
        now = await self._patiently(lambda: self.turn(session, number), until)
        if now.state in {"ended", "unqueued"}:
            return now
        # A turn's number is that of its first event.
        stream = AsyncEventStream(self._transport, SessionCursor(as_id(session), number, None), until)
        async with stream:
            async for item in stream:
                if isinstance(item, Gap | Deleted) or (
                    isinstance(item, Event) and item.turn == number and item.type in {"turn.ended", "turn.unqueued"}
                ):
                    now = await self._patiently(lambda: self.turn(session, number), until)
                    if now.state in {"ended", "unqueued"}:
                        return now
        raise StillRunningError(as_id(session), number)

    async def cancel(
        self, session: Session | str, turn: Turn | int | None = None, *, idempotency_key: str | None = None
    ) -> int:
        """Ask a turn to stop: this one, or whichever runs. Gives its number."""
        which = {} if turn is None else {"turn": body.number(turn)}
        told = await self._command(session_path(session, "cancel"), dict[str, int], which, idempotency_key)
        return told["turn"]

    async def queue(self, session: Session | str) -> list[Waiting]:
        """List the prompts that wait."""
        return await self._list(session_path(session, "queue"), Waiting)

    async def unqueue(self, session: Session | str, turn: Turn | int) -> None:
        """Take a waiting prompt back."""
        await self._transport.content(Call.delete(session_path(session, "queue", body.number(turn))))

    # Requests

    async def requests_page(
        self,
        *,
        status: RequestStatus | None = None,
        session: Session | str | None = None,
        project: str | PathLike[str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Request]:
        """List requests: one page. Open ones come most urgent first, then oldest first; others newest first."""
        params = query(
            status=status,
            session=None if session is None else as_id(session),
            project=body.directory(project),
            limit=limit,
            cursor=cursor,
        )
        return await self._get("/v1/requests" + params, Page[Request])

    async def requests(
        self,
        *,
        status: RequestStatus | None = None,
        session: Session | str | None = None,
        project: str | PathLike[str] | None = None,
    ) -> AsyncIterator[Request]:
        """List requests: all, page by page, in the order of :meth:`requests_page`."""
        cursor = None
        while True:
            page = await self.requests_page(status=status, session=session, project=project, cursor=cursor)
            for request in page.items:
                yield request
            cursor = page.next
            if cursor is None:
                return

    async def request(self, request: Request | str) -> Request:
        """Return a request as it is now."""
        return await self._get(request_path(request), Request)

    async def create_request(
        self,
        session: Session | str,
        title: str,
        *,
        question: str = "",
        options: Sequence[str | Choice] = (),
        schema: Mapping[str, Any] | None = None,
        context: Any = None,
        priority: Priority = "normal",
        tags: Sequence[str] | None = None,
        deadline: datetime | None = None,
        on_timeout: OnTimeout = "wait",
        kind: RequestKind | None = None,
        idempotency_key: str | None = None,
    ) -> Request:
        """Ask people something on behalf of a session's agent, and go on.

        * ``title``: one line; ``question``: the question in full; ``context``: any JSON that helps to decide.
        * ``options``: the answers offered, in words or as :class:`Choice`.
        * ``schema``: JSON Schema of a form's answer; the request is then a form.
        * ``deadline``: when it stops waiting; ``on_timeout``: what happens then.
        * ``kind``: ``question``, or ``form`` if there is a ``schema``, unless said.
        """
        new = body.request(
            kind=kind,
            title=title,
            question=question,
            options=options,
            schema=schema,
            context=context,
            priority=priority,
            tags=tags,
            deadline=deadline,
            on_timeout=on_timeout,
        )
        return await self._command(session_path(session, "requests"), Request, new, idempotency_key)

    async def answer(
        self,
        request: Request | str,
        option: str | None = None,
        *,
        text: str | None = None,
        fields: Mapping[str, Any] | None = None,
        confirm: bool = False,
        idempotency_key: str | None = None,
    ) -> Request:
        """Answer a request: by the id or the name of an option, by a text, or by the fields of a form.

        What lets something of high risk go on needs ``confirm``: a person has seen the risk and means it.

        Raises:
            RequestClosedError: somebody was first; ``closed`` says who, when and what.
        """
        form = None if fields is None else dict(fields)
        answer = drop_none(option=option, text=text, fields=form, confirm=confirm or None)
        return await self._command(request_path(request, "answer"), Request, answer, idempotency_key)

    async def dismiss(self, request: Request | str, *, idempotency_key: str | None = None) -> Request:
        """Set a request aside: nobody is asked any more, but it can still be answered."""
        return await self._command(request_path(request, "dismiss"), Request, None, idempotency_key)

    async def withdraw(self, request: Request | str, *, idempotency_key: str | None = None) -> Request:
        """Take a request back, for the agent that asked."""
        return await self._command(request_path(request, "withdraw"), Request, None, idempotency_key)

    async def ask(
        self,
        session: Session | str,
        title: str,
        *,
        question: str = "",
        options: Sequence[str | Choice] = (),
        schema: Mapping[str, Any] | None = None,
        context: Any = None,
        priority: Priority = "normal",
        tags: Sequence[str] | None = None,
        timeout: float | None = None,
        deadline: datetime | None = None,
        on_timeout: OnTimeout = "wait",
        kind: RequestKind | None = None,
        or_dismissed: bool = False,
        idempotency_key: str | None = None,
    ) -> Request:
        """Ask people something and wait for the outcome, also over restarts of the daemon.

        Gives the closed request: ``answer`` is what was answered, ``closed`` also by whom. With a key of your own the
        same question can be asked again by a program that was restarted: ask with the same arguments, and it has the
        same outcome.

        * ``timeout``: how many seconds to wait, or ``deadline``: until when. With ``on_timeout`` the daemon then
          closes the request that way (or makes it urgent, and this waits on); without, this raises
          :class:`StillOpenError`. A question that may be asked again with its key needs a ``deadline`` that is the
          same again.
        * ``or_dismissed``: return also when the request was set aside; its ``status`` is then ``dismissed``.

        The other arguments are those of :meth:`create_request`.
        """
        patience, deadline = body.deadline(timeout, deadline, on_timeout)
        request = await self.create_request(
            session,
            title,
            question=question,
            options=options,
            schema=schema,
            context=context,
            priority=priority,
            tags=tags,
            deadline=deadline,
            on_timeout=on_timeout,
            kind=kind,
            idempotency_key=idempotency_key,
        )
        request = await self.wait_for_request(request, timeout=patience, or_dismissed=or_dismissed)
        if request.is_closed:
            # The outcome lies in the agent's inbox too, under the request's id; whoever is told here has got it.
            with suppress(TrunklineError):
                await self.ack(session, request.id)
        return request

    async def wait_for_request(
        self, request: Request | str, *, timeout: float | None = None, or_dismissed: bool = False
    ) -> Request:
        """Wait until a request has its outcome, also over restarts of the daemon.

        Raises:
            StillOpenError: it has none within ``timeout`` seconds. It stays open.
        """
        until = body.until(timeout)
        request_id = as_id(request)
        told = {"request.closed", "request.dismissed"} if or_dismissed else {"request.closed"}

        def done(request: Request) -> bool:
            return request.is_closed or (or_dismissed and request.status == "dismissed")

        now = await self._patiently(lambda: self.request(request_id), until)
        if done(now):
            return now
        page = await self._patiently(lambda: self.events(now.session, limit=1), until)
        now = await self._patiently(lambda: self.request(request_id), until)
        if done(now):
            return now
        stream = AsyncEventStream(self._transport, SessionCursor(now.session, page.head, None), until)
        async with stream:
            async for item in stream:
                if isinstance(item, Gap | Deleted) or (
                    isinstance(item, Event) and item.type in told and item.data.get("id") == request_id
                ):
                    now = await self._patiently(lambda: self.request(request_id), until)
                    if done(now):
                        return now
        raise StillOpenError(now)

    # The inbox of an agent that runs elsewhere

    async def poll_inbox(self, session: Session | str, *, wait: float = 0) -> list[Message]:
        """Fetch the messages that are not acknowledged, waiting for one up to ``wait`` seconds (at most 120)."""
        call = Call.get(session_path(session, "inbox") + query(wait_ms=round(wait * 1000))).patient(wait)
        return (await self._transport.json(call, dict[str, list[Message]]))["items"]

    async def inbox(self, session: Session | str, *, timeout: float | None = None) -> AsyncGenerator[Message, None]:
        """Take messages one after the other, as they come, also over restarts of the daemon.

        A message is acknowledged when the next one is asked for. One whose loop ended with an error, or with
        ``break``, is not, and comes again; :meth:`ack` it before a ``break``. With ``timeout`` it ends when nothing
        has come for so many seconds.
        """
        until = body.until(timeout)
        backoff = Backoff()
        while True:
            begun = time.monotonic()
            wait = _POLL if until is None else max(0.0, min(_POLL, until - begun))
            messages = await self._patiently(lambda: self.poll_inbox(session, wait=wait), until)  # noqa: B023
            for message in messages:
                yield message
                # It may have been acknowledged by the loop.
                with suppress(NotFoundError):
                    await self._patiently(lambda: self.ack(session, message), None)  # noqa: B023
            now = time.monotonic()
            if messages:
                until = body.until(timeout)
                backoff.reset()
            elif until is not None and now >= until:
                return
            elif now - begun < wait / 2:
                # A daemon that is stopping does not let anybody wait.
                await AsyncPause.sleep(min(backoff.next(), wait))

    async def ack(
        self, session: Session | str, message: Message | str, *, idempotency_key: str | None = None
    ) -> None:
        """Say that a message is dealt with."""
        path = session_path(session, "inbox", as_id(message), "ack")
        await self._transport.content(Call.command(path, key=idempotency_key))

    async def send_message(
        self, session: Session | str, kind: str, payload: Any, *, idempotency_key: str | None = None
    ) -> Message:
        """Leave a message for a session's agent."""
        new = {"kind": kind, "payload": payload}
        return await self._command(session_path(session, "inbox"), Message, new, idempotency_key)

    # Grants and tokens

    async def grants(self, session: Session | str) -> list[Grant]:
        """List the standing permissions of a session."""
        return await self._list(session_path(session, "grants"), Grant)

    async def add_grant(
        self,
        session: Session | str,
        tool: str,
        *,
        expires: datetime | None = None,
        unconfined: bool = False,
        idempotency_key: str | None = None,
    ) -> Grant:
        """Give a standing permission for one tool; with ``unconfined`` also while nothing confines the agent."""
        ends = None if expires is None else millis(expires)
        new = drop_none(tool=tool, expires=ends, unconfined=unconfined or None)
        return await self._command(session_path(session, "grants"), Grant, new, idempotency_key)

    async def revoke_grant(self, session: Session | str, grant: Grant | str) -> None:
        """Take a standing permission back."""
        await self._transport.content(Call.delete(session_path(session, "grants", as_id(grant))))

    async def tokens(self) -> list[Token]:
        """List the tokens in force."""
        return await self._list("/v1/tokens", Token)

    async def create_token(self, name: str, scope: Scope, *, ttl: float | None = None) -> Token:
        """Make a token that counts for ``ttl`` seconds. Its secret, ``token``, is told now and never again."""
        new = drop_none(name=name, scope=scope, ttl_s=None if ttl is None else round(ttl))
        return await self._transport.json(Call.post("/v1/tokens", new), Token)

    async def revoke_token(self, token: Token | str) -> None:
        """Revoke a token."""
        await self._transport.content(Call.delete("/v1/tokens/" + segment(as_id(token))))
