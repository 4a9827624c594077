"""Whose chunk a chunk is, and how requests end."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from trunkline.stdiobus import TimeoutError as BusTimeoutError
from trunkline.stdiobus import TransportError
from trunkline.stdiobus.pending import Pending, PendingTable
from trunkline.stdiobus.wire import Answer, Notification, read


def chunk(
    text: str, *, session: str | None = None, agent: str | None = None, request: str | None = None
) -> Notification:
    """A chunk that names whom it is about, or does not."""
    params: dict[str, Any] = {"update": {"sessionUpdate": "agent_message_chunk", "content": {"text": text}}}
    message: dict[str, Any] = {"method": "session/update", "params": params}
    if session:
        message["sessionId"] = session
    if agent:
        params["sessionId"] = agent
    if request:
        params["_meta"] = {"requestId": request}
    told = read(json.dumps(message))
    assert isinstance(told, Notification)
    return told


class Scene:
    """Requests by name, and what each has got."""

    def __init__(self) -> None:
        self.table = PendingTable()
        self.requests: dict[str, Pending] = {}

    def open(self, name: str, session: str, agent: str | None = None) -> Pending:
        params = {"sessionId": agent} if agent else None
        self.requests[name] = self.table.open(session, params, stream=True)
        return self.requests[name]

    def got(self) -> dict[str, str]:
        return {name: "".join(one.chunks) for name, one in self.requests.items()}


async def test_a_named_request_gets_it_alone() -> None:
    scene = Scene()
    first, _ = scene.open("first", "s"), scene.open("second", "s")
    scene.table.tell(chunk("x", session="s", request=first.id))
    assert scene.got() == {"first": "x", "second": ""}


async def test_the_late_text_of_an_ended_request_is_nobodys() -> None:
    scene = Scene()
    first, _ = scene.open("first", "s"), scene.open("second", "s")
    scene.table.close(first)
    scene.table.tell(chunk("late", session="s", request=first.id))
    assert scene.got() == {"first": "", "second": ""}


async def test_an_id_that_is_not_ours_says_nothing() -> None:
    scene = Scene()
    scene.open("first", "s")
    scene.table.tell(chunk("x", session="s", request="the worker's own number"))
    assert scene.got() == {"first": "x"}


async def test_sessions_are_told_apart() -> None:
    scene = Scene()
    scene.open("first", "a")
    scene.open("second", "b")
    scene.table.tell(chunk("1", session="a"))
    scene.table.tell(chunk("2", session="b"))
    scene.table.tell(chunk("3", session="of a request that has ended"))
    assert scene.got() == {"first": "1", "second": "2"}


async def test_sessions_of_the_agent_are_told_apart_within_one_of_the_router() -> None:
    scene = Scene()
    scene.open("first", "s", "agent-1")
    scene.open("second", "s", "agent-2")
    scene.open("neither", "s")
    scene.table.tell(chunk("1", session="s", agent="agent-1"))
    scene.table.tell(chunk("2", agent="agent-2"))
    scene.table.tell(chunk("n", session="s", agent="agent-3"))
    assert scene.got() == {"first": "1", "second": "2", "neither": "n"}


async def test_the_same_session_of_the_agent_behind_two_of_the_router() -> None:
    scene = Scene()
    scene.open("first", "a", "agent-1")
    scene.open("second", "b", "agent-1")
    scene.table.tell(chunk("x", session="b", agent="agent-1"))
    assert scene.got() == {"first": "", "second": "x"}


async def test_what_names_nobody_is_everybodys() -> None:
    scene = Scene()
    scene.open("first", "a")
    scene.open("second", "b", "agent-1")
    scene.table.tell(chunk("x"))
    assert scene.got() == {"first": "x", "second": "x"}


@pytest.mark.parametrize(
    ("one", "other", "rivals"),
    [
        (("s", None), ("s", None), True),
        (("s", "a"), ("s", None), True),
        (("s", None), ("s", "a"), True),
        (("s", "a"), ("s", "a"), True),
        (("s", "a"), ("s", "b"), False),
        (("s", None), ("t", None), False),
    ],
)
async def test_streams_are_rivals_if_nothing_tells_them_apart(
    one: tuple[str, str | None], other: tuple[str, str | None], rivals: bool
) -> None:
    scene = Scene()
    first = scene.open("first", *one)
    second = scene.open("second", *other)
    assert scene.table.has_rival(second) is rivals
    first.succeed(None)
    assert scene.table.has_rival(second) is False


async def test_workers_that_name_requests_have_no_rivals() -> None:
    scene = Scene()
    first, second = scene.open("first", "s"), scene.open("second", "s")
    assert scene.table.has_rival(second)
    scene.table.tell(chunk("x", request=first.id))
    assert not scene.table.has_rival(second)
    assert scene.got() == {"first": "x", "second": ""}


async def test_a_request_that_the_router_names() -> None:
    scene = Scene()
    first = scene.open("first", "s")
    scene.open("second", "s")
    told = chunk("x", session="s")
    scene.table.tell(dataclasses.replace(told, request=first.id))
    assert scene.got() == {"first": "x", "second": ""}


async def test_text_joins_a_result_that_is_an_object() -> None:
    table = PendingTable()
    for result, expected in [({"a": 1}, {"a": 1, "text": "xy"}), ([1], [1]), (None, None)]:
        pending = table.open("s", None)
        pending.chunk("x")
        pending.chunk("y")
        table.settle(Answer(pending.id, result, None))
        assert await pending.answer == expected
        table.close(pending)
    assert len(table) == 0


async def test_a_result_without_chunks_is_left_alone() -> None:
    table = PendingTable()
    pending = table.open("s", None)
    table.settle(Answer(pending.id, {"text": "the worker's own"}, None))
    assert await pending.answer == {"text": "the worker's own"}


async def test_the_first_end_counts() -> None:
    table = PendingTable()
    pending = table.open("s", None, stream=True)
    pending.chunk("before")
    pending.fail(TransportError("gone"))
    pending.chunk("after")
    pending.succeed({})
    pending.fail(BusTimeoutError("late"))
    assert [text async for text in pending.texts()] == ["before"]
    with pytest.raises(TransportError, match="gone"):
        await pending.answer


async def test_all_fail_at_once_and_the_table_is_empty_once_they_are_closed() -> None:
    table = PendingTable()
    requests = [table.open("s", {"sessionId": "a"}) for _ in range(3)]
    table.fail_all(TransportError("gone"))
    for request in requests:
        table.close(request)
        table.close(request)
    assert len(table) == 0
    table.settle(Answer(requests[0].id, "too late", None))
    assert list(table.owners(chunk("x", session="s", agent="a"))) == []


async def test_ids_of_two_buses_never_meet() -> None:
    one, other = PendingTable(), PendingTable()
    ids = {table.open("s", None).id for table in (one, other) for _ in range(1000)}
    assert len(ids) == 2000
