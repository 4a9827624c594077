"""The bus for asyncio programs."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any

from trunkline.stdiobus import backends
from trunkline.stdiobus.backends import Backend
from trunkline.stdiobus.census import Census
from trunkline.stdiobus.errors import (
    InternalError,
    InvalidArgumentError,
    InvalidStateError,
    NegotiationFailedError,
    NotSupportedError,
    ResourceExhaustedError,
    StdioBusError,
    TimeoutError,  # noqa: A004 - the name is the original's
    TransportError,
)
from trunkline.stdiobus.lifeline import Lifeline
from trunkline.stdiobus.pending import Pending, PendingTable
from trunkline.stdiobus.reconnect import DEFAULT_RECONNECT, ReconnectPolicy
from trunkline.stdiobus.router import STATUS_METHOD, RouterStatus, with_status
from trunkline.stdiobus.subscription import NotificationSubscription
from trunkline.stdiobus.types import (
    BackendMode,
    BusConfig,
    BusState,
    BusStats,
    DockerOptions,
    HelloParams,
    HelloResult,
    ListenMode,
    MessageHandler,
    NativeOptions,
    OverflowPolicy,
    RequestOptions,
    StreamEvent,
    SubprocessOptions,
)
from trunkline.stdiobus.wire import Answer, Call, Notification, answer_line, message_line, read

__all__ = ["AsyncStdioBus", "RequestHandler"]

logger = logging.getLogger("trunkline.stdiobus")

MAX_ANSWERING = 1024
# The router answers this by itself; one that takes longer has other troubles.
STATUS_TIMEOUT_MS = 2000

RequestHandler = Callable[[dict[str, Any]], Any]
"""Answers a worker's request: gets the message, returns the result or an awaitable of it, or raises."""


class AsyncStdioBus:
    """A client of one router, which it starts and ends.

    ``config`` or ``config_path`` says what the router runs. ``timeout_ms`` is the default of every request.
    ``reconnect`` says when a lost router is started again; ``None`` means never.

    All methods and handlers belong to the event loop that ``start()`` ran on. Any number of requests and streams may
    be open at once.

    Raises:
        InvalidArgumentError: none or both of ``config`` and ``config_path``, or options that do not fit.
        ValueError: a ``config`` or ``backend`` that cannot be meant.
        TransportError, UnavailableError: the backend cannot work here.
    """

    def __init__(
        self,
        config: BusConfig | None = None,
        *,
        config_path: str | None = None,
        backend: BackendMode | str = BackendMode.AUTO,
        timeout_ms: int = 30000,
        docker: DockerOptions | None = None,
        subprocess: SubprocessOptions | None = None,
        native: NativeOptions | None = None,
        reconnect: ReconnectPolicy | None = DEFAULT_RECONNECT,
    ) -> None:
        if config is not None and config_path:
            raise InvalidArgumentError("config and config_path exclude each other")
        if config is None and not config_path:
            raise InvalidArgumentError("config or config_path is needed")
        mode = BackendMode(backend)
        _checked(native)
        text = None
        if config is not None:
            config.validate()
            text = with_status(config.to_dict())
        self.native_options = native
        self._timeout_ms = timeout_ms
        self._session = f"client-{time.time_ns() // 1_000_000}-{secrets.token_hex(3)}"
        self._agent_session: str | None = None
        self._pending = PendingTable()
        self._subscriptions: set[NotificationSubscription] = set()
        self._message_handlers: list[MessageHandler] = []
        self._notification_handlers: list[MessageHandler] = []
        self._reconnect_handlers: list[Callable[[], Any]] = []
        self._request_handler: RequestHandler | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._overhead = BusStats()
        self._census = Census(self.status)
        self._backend: Backend | None = backends.make(
            mode, config_path or None, text, docker=docker, subprocess=subprocess, native=native
        )
        self._backend.on_message(self._on_line)
        self._lifeline = Lifeline(self._backend, reconnect, self._on_lost, self._on_again, self._close_subscriptions)

    @property
    def client_session_id(self) -> str:
        """The session of every message that names no other: they all go to one worker."""
        return self._session

    @property
    def agent_session_id(self) -> str | None:
        """The session the other side gave in ``stdio_bus/hello``, or what was set here."""
        return self._agent_session

    @agent_session_id.setter
    def agent_session_id(self, value: str) -> None:
        self._agent_session = value

    def on_message(self, handler: MessageHandler) -> None:
        """Have every line from the router given to ``handler``, before anything else is done with it.

        A handler runs on the event loop and must not block. What it raises is logged.
        """
        self._message_handlers.append(handler)

    def on_notification(self, handler: MessageHandler) -> None:
        """Have every notification given to ``handler``, as a line."""
        self._notification_handlers.append(handler)

    def on_request(self, handler: RequestHandler) -> None:
        """Answer the workers' own requests with ``handler``; the last one that was set counts.

        It gets the message and returns the result, or an awaitable of it. A :class:`StdioBusError` it raises is
        answered with its code, anything else as an internal error. At most 1024 run at once; further requests are
        answered with RESOURCE_EXHAUSTED. Without a handler such requests are seen by :meth:`on_message` only.
        """
        self._request_handler = handler

    def on_reconnect(self, handler: Callable[[], Any]) -> None:
        """Have ``handler`` called, and awaited if it is a coroutine function, when a lost router is back.

        The new router knows no session: say hello again here where the protocol needs it.
        """
        self._reconnect_handlers.append(handler)

    async def start(self) -> None:
        """Start the router, and return when it takes messages.

        Raises:
            InvalidStateError: the bus was started before.
            TransportError: the router ended. ``details`` has its ``exit_code`` and its ``stderr``, which says what
                is wrong with the configuration.
            UnavailableError: the container engine does not work.
        """
        if self._backend is None:
            raise InvalidStateError("the bus was destroyed")
        await self._lifeline.start()
        if self._backend.tells_status():
            await self._census.begin()

    async def stop(self, timeout_sec: float = 30.0) -> None:
        """End the router and its workers, by force after ``timeout_sec``.

        Open requests and streams fail with :class:`TransportError`, subscriptions end. A router whose workers go
        when they are told to is gone within some 100 ms.
        """
        self._pending.fail_all(TransportError("Bus is shutting down"))
        self._close_subscriptions()
        self._census.end()
        for task in tuple(self._tasks):
            task.cancel()
        if self._backend is not None:
            await self._lifeline.stop(timeout_sec)

    def destroy(self) -> None:
        """Let go of everything at once; a router that still runs is killed. Idempotent, needs no running loop."""
        backend, self._backend = self._backend, None
        self._census.end()
        self._lifeline.cut()
        # The loop of what is still open may be closed; then nobody waits.
        with contextlib.suppress(RuntimeError):
            self._close_subscriptions()
            self._pending.fail_all(TransportError("the bus was destroyed"))
        if backend is not None:
            backend.destroy()

    async def connect(self, params: HelloParams | None = None) -> HelloResult | None:
        """:meth:`start`, and :meth:`hello` if there are ``params``."""
        await self.start()
        return None if params is None else await self.hello(params)

    async def hello(self, params: HelloParams | None = None) -> HelloResult:
        """Negotiate by ``stdio_bus/hello``, and keep the session the other side gives.

        Raises:
            NegotiationFailedError: the answer is none.
        """
        told = await self.request("stdio_bus/hello", (params or HelloParams()).to_dict())
        try:
            result = HelloResult.from_dict(told)
        except (AttributeError, TypeError) as unreadable:
            raise NegotiationFailedError("the answer to stdio_bus/hello cannot be read", told) from unreadable
        self._agent_session = result.session_id
        return result

    def send(self, message: str) -> bool:
        """Queue a line as it is. ``False``: the bus does not run, or 256 MiB wait already. Never blocks."""
        return self._backend is not None and self._backend.send(message)

    async def request(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        timeout_ms: int | None = None,
        session_id: str | None = None,
        options: RequestOptions | None = None,
    ) -> Any:
        """Ask, and return the ``result`` of the answer.

        Text that came as ``agent_message_chunk`` is put into a result that is an object, as ``text``. While a lost
        router is started again the request waits for it; one that was open then has failed, because nobody can
        know whether it was done.

        Raises:
            InvalidStateError: the bus does not run.
            TimeoutError: no answer in ``timeout_ms``.
            TransportError: the router was lost or stopped.
            StdioBusError: the answer is an error; see :mod:`trunkline.stdiobus.errors`.
        """
        chosen = options or RequestOptions()
        with self._call(method, params, timeout_ms, session_id, chosen, stream=False) as call:
            await self._transmit(call, message_line(method, params, chosen, call.session, call.id))
            return await call.answer

    async def stream_request(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        timeout_ms: int | None = None,
        session_id: str | None = None,
        options: RequestOptions | None = None,
    ) -> AsyncIterator[StreamEvent]:
        """Ask, and yield the text as it comes: ``chunk`` events, then one ``result`` as :meth:`request` returns it.

        Any number of streams may run at once, as long as their chunks can be told apart: by ``session_id``, by
        ``params["sessionId"]`` of the agent, or because the workers name the request they speak for, in
        ``params._meta.requestId``. ``timeout_ms`` is for the whole.

        Raises:
            InvalidStateError: the bus does not run, or a stream of the same session runs whose chunks could not be
                told from this one's.
            TimeoutError, TransportError, StdioBusError: as :meth:`request`, after what came before.
        """
        chosen = options or RequestOptions()
        with self._call(method, params, timeout_ms, session_id, chosen, stream=True) as call:
            self._refuse_mixture(call)
            await self._transmit(call, message_line(method, params, chosen, call.session, call.id))
            async for text in call.texts():
                yield StreamEvent(type="chunk", text=text)
            yield StreamEvent(type="result", result=await call.answer)

    async def notify(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> None:
        """Tell something that has no answer. If the bus does not run, it is lost and that is logged."""
        chosen = options or RequestOptions()
        line = message_line(method, params, chosen, chosen.session_id or self._session)
        if self._backend is not None and self._backend.congested:
            await self._backend.drained()
        if not self.send(line):
            logger.warning("the notification %s could not be sent", method)

    def subscribe_notifications(
        self, *, max_queue: int = 256, overflow: OverflowPolicy = "drop"
    ) -> NotificationSubscription:
        """Return an iterator over the notifications from now on. Each has its own queue; see there."""
        subscription = NotificationSubscription(self, max_queue, overflow)
        self._subscriptions.add(subscription)
        return subscription

    async def status(self) -> RouterStatus:
        """Ask the router for its counts now.

        Raises:
            NotSupportedError: it is not a router that tells them.
        """
        if self._backend is None or not self._backend.tells_status():
            raise NotSupportedError("this router does not tell its status")
        with self._call(
            STATUS_METHOD, None, STATUS_TIMEOUT_MS, None, RequestOptions(), stream=False, own=True
        ) as call:
            line = message_line(STATUS_METHOD, None, RequestOptions(), call.session, call.id)
            self._overhead.messages_in += 1
            self._overhead.bytes_in += len(line) + 1
            await self._transmit(call, line)
            return RouterStatus.from_dict(await call.answer)

    def get_state(self) -> BusState:
        """Return where the bus is in its life. ``STARTING`` also while a lost router is started again."""
        return BusState.STOPPED if self._backend is None else self._lifeline.state()

    def get_stats(self) -> BusStats:
        """Return the counters; the SDK's own questions about status are not among them."""
        if self._backend is None:
            return BusStats()
        stats, own, told = self._backend.get_stats(), self._overhead, self._census.latest
        stats.messages_in -= own.messages_in
        stats.messages_out -= own.messages_out
        stats.bytes_in -= own.bytes_in
        stats.bytes_out -= own.bytes_out
        stats.worker_restarts += told.worker_restarts
        stats.routing_errors += told.routing_errors
        return stats

    def get_backend_type(self) -> str:
        """Return ``"subprocess"``, ``"docker"`` or ``"native"``; ``"unknown"`` once destroyed."""
        return "unknown" if self._backend is None else self._backend.name

    def get_listen_mode(self) -> ListenMode:
        """Return what the router listens on for other clients."""
        return ListenMode.NONE if self._backend is None else self._backend.get_listen_mode()

    def get_worker_count(self) -> int:
        """Return how many workers run, about a second old; -1 where the router does not tell. See :meth:`status`."""
        if self._census.latest.workers >= 0:
            return self._census.latest.workers
        return -1 if self._backend is None else self._backend.get_worker_count()

    def get_client_count(self) -> int:
        """Return how many clients the router has, this bus among them; otherwise as :meth:`get_worker_count`."""
        if self._census.latest.clients >= 0:
            return self._census.latest.clients
        return -1 if self._backend is None else self._backend.get_client_count()

    def get_session_count(self) -> int:
        """Return how many sessions are bound to a worker; otherwise as :meth:`get_worker_count`."""
        return self._census.latest.sessions

    def get_pending_count(self) -> int:
        """Return how many requests of this bus wait for an answer. This is exact everywhere."""
        return len(self._pending)

    def is_running(self) -> bool:
        """Tell whether the router runs and takes messages."""
        return self.get_state() == BusState.RUNNING

    async def __aenter__(self) -> AsyncStdioBus:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.stop()
        self.destroy()

    @contextlib.contextmanager
    def _call(
        self,
        method: str,
        params: dict[str, Any] | None,
        timeout_ms: int | None,
        session_id: str | None,
        options: RequestOptions,
        *,
        stream: bool,
        own: bool = False,
    ) -> Iterator[Pending]:
        if self._backend is None or not self._lifeline.takes_calls():
            raise InvalidStateError("Bus not running")
        session = options.session_id or session_id or self._session
        call = self._pending.open(session, params, stream=stream, own=own)
        seconds = (options.timeout_ms or timeout_ms or self._timeout_ms) / 1000
        late = TimeoutError(f"Request timeout: {method}")
        timer = asyncio.get_running_loop().call_later(seconds, call.fail, late)
        try:
            yield call
        finally:
            timer.cancel()
            self._pending.close(call)

    async def _transmit(self, call: Pending, line: str) -> None:
        """Send once the router is up and has room, unless the call has ended by then."""
        await self._lifeline.wait_up(call.answer)
        while self._backend is not None and self._backend.congested and not call.answer.done():
            room = asyncio.ensure_future(self._backend.drained())
            await asyncio.wait((room, call.answer), return_when=asyncio.FIRST_COMPLETED)
            room.cancel()
        if not call.answer.done() and not self.send(line):
            raise TransportError("Failed to send message")

    def _refuse_mixture(self, call: Pending) -> None:
        if self._pending.has_rival(call):
            raise InvalidStateError(
                "a stream of the same session runs, and their chunks could not be told apart;"
                " give each stream a session_id of its own"
            )

    def _on_line(self, line: str) -> None:
        try:
            incoming = read(line)
        except (ValueError, RecursionError):
            logger.warning("the router sent what is no message: %.200s", line)
            return
        if isinstance(incoming, Answer) and self._pending.is_own(incoming.id):
            self._overhead.messages_out += 1
            self._overhead.bytes_out += len(line.encode()) + 1
            self._pending.settle(incoming)
            return
        self._hand(self._message_handlers, line)
        if isinstance(incoming, Answer):
            self._pending.settle(incoming)
        elif isinstance(incoming, Notification):
            self._pending.tell(incoming)
            self._hand(self._notification_handlers, line)
            for subscription in tuple(self._subscriptions):
                # A copy each, so that readers do not see each other's changes.
                subscription._deliver(dict(incoming.message))
        elif isinstance(incoming, Call):
            self._answer(incoming)

    def _hand(self, handlers: list[MessageHandler], line: str) -> None:
        for handler in tuple(handlers):
            try:
                handler(line)
            except Exception:
                logger.exception("a handler failed")

    def _answer(self, call: Call) -> None:
        handler = self._request_handler
        if handler is None:
            return
        if len(self._tasks) >= MAX_ANSWERING:
            self.send(answer_line(call, None, ResourceExhaustedError("too many requests at once")))
            return
        self._spawn(self._answer_with(handler, call))

    async def _answer_with(self, handler: RequestHandler, call: Call) -> None:
        result, error = None, None
        try:
            result = handler(call.message)
            if inspect.isawaitable(result):
                result = await result
            line = answer_line(call, result, None)
        except StdioBusError as told:
            error = told
        except Exception as failed:
            logger.exception("the handler of requests failed")
            error = InternalError(str(failed) or type(failed).__name__)
        self.send(line if error is None else answer_line(call, None, error))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_lost(self, reason: TransportError) -> None:
        self._census.end()
        self._pending.fail_all(reason)

    def _on_again(self) -> None:
        self._spawn(self._greet())

    async def _greet(self) -> None:
        if self._backend is not None and self._backend.tells_status():
            await self._census.begin()
        for handler in tuple(self._reconnect_handlers):
            try:
                done = handler()
                if inspect.isawaitable(done):
                    await done
            except Exception:
                logger.exception("a handler of reconnects failed")

    def _remove_subscription(self, subscription: NotificationSubscription) -> None:
        self._subscriptions.discard(subscription)

    def _close_subscriptions(self) -> None:
        for subscription in tuple(self._subscriptions):
            subscription.close()


def _checked(native: NativeOptions | None) -> None:
    if native is not None:
        try:
            native.validate()
        except ValueError as wrong:
            raise InvalidArgumentError(str(wrong)) from wrong
