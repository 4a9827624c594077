"""What every method of the client is made of."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from trunkline.hub import wire
from trunkline.hub._async.transport import AsyncTransport
from trunkline.hub.backoff import Backoff
from trunkline.hub.call import Call
from trunkline.hub.errors import ProblemError, TrunklineError
from trunkline.hub.models import Page
from trunkline.hub.pause import AsyncPause

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncBase"]

T = TypeVar("T")


class AsyncBase:
    """A client's connections, and the kinds of calls."""

    def __init__(
        self, home: str | PathLike[str] | None = None, *, base_url: str | None = None, token: str | None = None
    ) -> None:
        origin, place = wire.find(None if home is None else Path(home), base_url, token)
        self._transport = AsyncTransport(origin, place)

    @property
    def base_url(self) -> str:
        """Where the daemon is."""
        return self._transport.base_url

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _get(self, path: str, kind: type[T]) -> T:
        return await self._transport.json(Call.get(path), kind)

    async def _list(self, path: str, kind: type[T]) -> list[T]:
        page: Page[T] = await self._get(path, Page[kind])  # type: ignore[valid-type]
        return page.items

    async def _command(self, path: str, kind: type[T], new: Any, key: str | None, method: str = "POST") -> T:
        return await self._transport.json(Call.command(path, new, key, method), kind)

    async def _patiently(self, step: Callable[[], Awaitable[T]], until: float | None) -> T:
        """Take a step, again and again while the daemon is away."""
        backoff = Backoff()
        while True:
            try:
                return await step()
            except TrunklineError as error:
                if not error.passing or (until is not None and time.monotonic() >= until):
                    raise
                wait = backoff.next(error.retry_after if isinstance(error, ProblemError) else None)
                await AsyncPause.sleep(wait if until is None else max(0.0, min(wait, until - time.monotonic())))
