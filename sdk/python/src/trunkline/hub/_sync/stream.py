# Made from trunkline/hub/_async by unasync.py; change it there.
"""Event streams that connect again by themselves."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar

from trunkline.hub import wire
from trunkline.hub._sync.transport import Transport
from trunkline.hub.backoff import Backoff
from trunkline.hub.call import SILENCE
from trunkline.hub.cursor import Cursor, SessionCursor
from trunkline.hub.errors import BrokenError, TrunklineError, UnexpectedError
from trunkline.hub.items import Lost, Open, StreamItem
from trunkline.hub.pause import Pause
from trunkline.hub.sse import Decoder, ServerSentEvent

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["EventStream", "Stream"]

Item = TypeVar("Item")

_LEAST = 0.001
_STALE = 0.8


class Stream(Generic[Item]):
    """An iterator over what a stream tells, over broken connections and restarts of the daemon.

    It ends when the stream does, after an error that trying again does not help, and with :meth:`close`. A step that
    was cancelled can be taken again: nothing is lost.
    """

    def __init__(self, transport: Transport, cursor: Cursor[Item], until: float | None = None) -> None:
        self._transport = transport
        self._cursor = cursor
        self._until = until
        self._steps: Generator[Item | Open | Lost, None, None] | None = None
        self._over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item | Open | Lost:
        if self._over:
            raise StopIteration
        if self._steps is None:
            self._steps = self._run()
        try:
            return self._steps.__next__()
        except (StopIteration, TrunklineError):
            self._over = True
            raise
        except BaseException:
            # Cancelled: the next step begins where this one did.
            self._steps = None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the stream and its connection."""
        self._over = True
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()

    def _run(self) -> Generator[Item | Open | Lost, None, None]:  # noqa: C901 - one connection after the other
        backoff = Backoff()
        decoder = Decoder()
        while not self._is_late():
            hint, decoder = decoder.retry, Decoder()
            decoder.retry = hint
            stale = False
            call = replace(self._cursor.call(), timeout=self._patience())
            error: TrunklineError = BrokenError("the daemon ended the stream")
            try:
                response = self._transport.open(call)
                try:
                    wire.check_stream(call, response)
                    yield self._cursor.opened()
                    chunks = response.iter_raw()
                    while True:
                        with wire.translated(self._transport.base_url, call.timeout):
                            chunk = next(chunks, None)
                        if chunk is None:
                            break
                        for event in _events(decoder, chunk):
                            item = self._read(event)
                            backoff.reset()
                            if item is not None:
                                yield item
                            if self._cursor.over:
                                return
                        if self._is_late() or self._patience() < call.timeout * _STALE:
                            # It would wait for the next sign of life longer than it may.
                            stale = True
                            break
                finally:
                    response.close()
            except TrunklineError as caught:
                if not caught.passing:
                    raise
                error = caught
            if not stale and not self._is_late():
                yield self._cursor.lost(Lost(error))
                Pause.sleep(min(backoff.next(decoder.retry), self._patience()))

    def _read(self, event: ServerSentEvent) -> Item | None:
        try:
            return self._cursor.read(event)
        except (ValueError, KeyError, TypeError) as error:
            raise UnexpectedError(f"an event of {self._cursor.call()} is not understood: {error}") from error

    def _is_late(self) -> bool:
        return self._until is not None and time.monotonic() >= self._until

    def _patience(self) -> float:
        if self._until is None:
            return SILENCE
        return max(_LEAST, min(SILENCE, self._until - time.monotonic()))


class EventStream(Stream[StreamItem]):
    """A session's log from a place on: a replay that goes on live. Each event comes once and in order."""

    def __init__(self, transport: Transport, cursor: SessionCursor, until: float | None = None) -> None:
        super().__init__(transport, cursor, until)
        self._place = cursor

    @property
    def last(self) -> int:
        """The number of the last event it has given, or what it was told to start after."""
        return self._place.last


def _events(decoder: Decoder, chunk: bytes) -> list[ServerSentEvent]:
    try:
        return list(decoder.push(chunk))
    except ValueError as error:
        raise UnexpectedError(f"the stream is not understood: {error}") from error
