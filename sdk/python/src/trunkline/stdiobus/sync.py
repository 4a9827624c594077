"""The bus for programs without asyncio."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, TypeVar

from trunkline.stdiobus.aio import AsyncStdioBus, RequestHandler
from trunkline.stdiobus.errors import InvalidStateError
from trunkline.stdiobus.loop_thread import LoopThread
from trunkline.stdiobus.reconnect import DEFAULT_RECONNECT, ReconnectPolicy
from trunkline.stdiobus.router import RouterStatus
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

__all__ = ["NotificationIterator", "StdioBus"]

T = TypeVar("T")


class StdioBus:
    """:class:`AsyncStdioBus` with calls that wait.

    The bus lives on a thread of its own, so messages are handled between calls too. Any thread may call, several at
    once, also one that runs an event loop. Handlers run on the bus's thread and must not call the bus.
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
        self._bus = AsyncStdioBus(
            config,
            config_path=config_path,
            backend=backend,
            timeout_ms=timeout_ms,
            docker=docker,
            subprocess=subprocess,
            native=native,
            reconnect=reconnect,
        )
        self._thread = LoopThread(f"stdio-bus {self._bus.client_session_id}")

    @property
    def client_session_id(self) -> str:
        """See :attr:`AsyncStdioBus.client_session_id`."""
        return self._bus.client_session_id

    @property
    def agent_session_id(self) -> str | None:
        """See :attr:`AsyncStdioBus.agent_session_id`."""
        return self._bus.agent_session_id

    @agent_session_id.setter
    def agent_session_id(self, value: str) -> None:
        self._bus.agent_session_id = value

    def on_message(self, handler: MessageHandler) -> None:
        """See :meth:`AsyncStdioBus.on_message`."""
        self._bus.on_message(handler)

    def on_notification(self, handler: MessageHandler) -> None:
        """See :meth:`AsyncStdioBus.on_notification`."""
        self._bus.on_notification(handler)

    def on_request(self, handler: RequestHandler) -> None:
        """See :meth:`AsyncStdioBus.on_request`."""
        self._bus.on_request(handler)

    def on_reconnect(self, handler: Callable[[], Any]) -> None:
        """See :meth:`AsyncStdioBus.on_reconnect`."""
        self._bus.on_reconnect(handler)

    def start(self) -> None:
        """See :meth:`AsyncStdioBus.start`."""
        self._thread.run(self._bus.start())

    def stop(self, timeout_sec: float = 30.0) -> None:
        """See :meth:`AsyncStdioBus.stop`."""
        if self._thread.started:
            self._thread.run(self._bus.stop(timeout_sec))

    def connect(self, params: HelloParams | None = None) -> HelloResult | None:
        """See :meth:`AsyncStdioBus.connect`."""
        return self._thread.run(self._bus.connect(params))

    def hello(self, params: HelloParams | None = None) -> HelloResult:
        """See :meth:`AsyncStdioBus.hello`."""
        return self._thread.run(self._bus.hello(params))

    def send(self, message: str) -> bool:
        """See :meth:`AsyncStdioBus.send`."""
        return self._thread.started and self._thread.run(_call(self._bus.send, message))

    def request(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        timeout_ms: int | None = None,
        session_id: str | None = None,
        options: RequestOptions | None = None,
    ) -> Any:
        """See :meth:`AsyncStdioBus.request`."""
        return self._thread.run(
            self._bus.request(method, params, timeout_ms=timeout_ms, session_id=session_id, options=options)
        )

    def stream_request(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        timeout_ms: int | None = None,
        session_id: str | None = None,
        options: RequestOptions | None = None,
    ) -> Iterator[StreamEvent]:
        """See :meth:`AsyncStdioBus.stream_request`. Leaving the loop early ends the stream."""
        events = self._bus.stream_request(
            method, params, timeout_ms=timeout_ms, session_id=session_id, options=options
        )
        try:
            while (event := self._thread.run(_next(events))) is not None:
                yield event
        finally:
            # A stream that nobody holds any more may be collected on the bus's own thread, which cannot wait for it.
            with contextlib.suppress(InvalidStateError):
                self._thread.run(_close(events))

    def notify(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> None:
        """See :meth:`AsyncStdioBus.notify`."""
        self._thread.run(self._bus.notify(method, params, options=options))

    def subscribe_notifications(
        self, *, max_queue: int = 256, overflow: OverflowPolicy = "drop"
    ) -> NotificationIterator:
        """See :meth:`AsyncStdioBus.subscribe_notifications`."""

        def subscribe() -> NotificationSubscription:
            return self._bus.subscribe_notifications(max_queue=max_queue, overflow=overflow)

        return NotificationIterator(self._thread, self._thread.run(_call(subscribe)))

    def status(self) -> RouterStatus:
        """See :meth:`AsyncStdioBus.status`."""
        return self._thread.run(self._bus.status())

    def get_state(self) -> BusState:
        """See :meth:`AsyncStdioBus.get_state`."""
        return self._bus.get_state()

    def get_stats(self) -> BusStats:
        """See :meth:`AsyncStdioBus.get_stats`."""
        return self._bus.get_stats()

    def get_backend_type(self) -> str:
        """See :meth:`AsyncStdioBus.get_backend_type`."""
        return self._bus.get_backend_type()

    def get_listen_mode(self) -> ListenMode:
        """See :meth:`AsyncStdioBus.get_listen_mode`."""
        return self._bus.get_listen_mode()

    def get_worker_count(self) -> int:
        """See :meth:`AsyncStdioBus.get_worker_count`."""
        return self._bus.get_worker_count()

    def get_client_count(self) -> int:
        """See :meth:`AsyncStdioBus.get_client_count`."""
        return self._bus.get_client_count()

    def get_session_count(self) -> int:
        """See :meth:`AsyncStdioBus.get_session_count`."""
        return self._bus.get_session_count()

    def get_pending_count(self) -> int:
        """See :meth:`AsyncStdioBus.get_pending_count`."""
        return self._bus.get_pending_count()

    def is_running(self) -> bool:
        """See :meth:`AsyncStdioBus.is_running`."""
        return self._bus.is_running()

    def destroy(self) -> None:
        """See :meth:`AsyncStdioBus.destroy`. The thread ends with it."""
        if self._thread.started:
            self._thread.run(_call(self._bus.destroy))
            self._thread.close()
        else:
            self._bus.destroy()

    def __enter__(self) -> StdioBus:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        self.stop()
        self.destroy()


class NotificationIterator:
    """A :class:`NotificationSubscription` whose ``next()`` waits."""

    def __init__(self, thread: LoopThread, subscription: NotificationSubscription) -> None:
        self._thread = thread
        self._subscription = subscription

    @property
    def dropped(self) -> int:
        """How many notifications a full queue has lost."""
        return self._subscription.dropped

    def __iter__(self) -> NotificationIterator:
        return self

    def __next__(self) -> dict[str, Any]:
        told = self._thread.run(_next(self._subscription))
        if told is None:
            raise StopIteration
        return told

    def close(self) -> None:
        """End the subscription; from any thread, also while another waits in ``next()``."""
        if self._thread.started:
            self._thread.run(_call(self._subscription.close))


async def _call(function: Callable[..., T], *arguments: Any) -> T:
    return function(*arguments)


async def _next(source: AsyncIterator[T]) -> T | None:
    # StopAsyncIteration cannot cross a future, and no event and no notification is None.
    return await anext(source, None)


async def _close(events: AsyncIterator[StreamEvent]) -> None:
    closing: Callable[[], Coroutine[Any, Any, None]] = events.aclose  # type: ignore[attr-defined]
    await closing()
