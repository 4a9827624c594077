"""The queue of a subscriber."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from conftest import soon
from trunkline.stdiobus import AsyncStdioBus, NotificationSubscription, OverflowPolicy


class Owner:
    """As much of a bus as a subscription needs."""

    def __init__(self) -> None:
        self.removed: list[object] = []

    def _remove_subscription(self, subscription: object) -> None:
        self.removed.append(subscription)


def subscription(limit: int, overflow: OverflowPolicy = "drop") -> tuple[NotificationSubscription, Owner]:
    owner = Owner()
    return NotificationSubscription(cast("AsyncStdioBus", owner), limit, overflow), owner


def numbers(told: list[dict[str, Any]]) -> list[int]:
    return [one["number"] for one in told]


async def test_drop_loses_the_newest_and_goes_on() -> None:
    mine, _ = subscription(2)
    for number in range(4):
        mine._deliver({"number": number})
    assert numbers([await anext(mine), await anext(mine)]) == [0, 1]
    mine._deliver({"number": 4})
    mine.close()
    assert numbers([one async for one in mine]) == [4]
    assert mine.dropped == 2


async def test_close_ends_after_what_was_queued() -> None:
    mine, owner = subscription(2, "close")
    for number in range(4):
        mine._deliver({"number": number})
    assert numbers([one async for one in mine]) == [0, 1]
    assert owner.removed == [mine]


async def test_no_limit_is_no_limit() -> None:
    mine, _ = subscription(0)
    for number in range(1000):
        mine._deliver({"number": number})
    mine.close()
    assert len([one async for one in mine]) == 1000


async def test_a_waiting_reader_is_woken_by_news_and_by_the_end() -> None:
    mine, _ = subscription(2)
    reader = asyncio.ensure_future(anext(mine))
    await asyncio.sleep(0)
    mine._deliver({"number": 1})
    assert await soon(reader) == {"number": 1}
    last = asyncio.ensure_future(anext(mine, None))
    await asyncio.sleep(0)
    mine.close()
    mine.close()
    assert await soon(last) is None


async def test_a_reader_that_gives_up_loses_nothing() -> None:
    mine, _ = subscription(2)
    reader = asyncio.ensure_future(anext(mine))
    await asyncio.sleep(0)
    reader.cancel()
    mine._deliver({"number": 1})
    assert await anext(mine) == {"number": 1}
