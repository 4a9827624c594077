"""The parts that need no daemon."""

from __future__ import annotations

import inspect
import itertools
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import unasync

import trunkline
from trunkline import hub
from trunkline.hub._sync.transport import Transport
from trunkline.hub.backoff import LONGEST, Backoff
from trunkline.hub.call import Call, query, segment
from trunkline.hub.cursor import FeedCursor, SessionCursor
from trunkline.hub.home import Origin
from trunkline.hub.models import millis
from trunkline.hub.sse import Decoder, ServerSentEvent, TooLargeError

WIRE = (
    b'retry: 1500\n: hello\n\nid: 7\r\nevent: a\ndata: 1\ndata:  2\n\ndata\n\nevent: none\n\ndata: {"\xc3\xa4":1}\n\n'
)
EVENTS = [
    ServerSentEvent("a", "1\n 2", "7"),
    ServerSentEvent("message", "", None),
    ServerSentEvent("message", '{"ä":1}', None),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_come_out_however_they_are_cut(size: int) -> None:
    decoder = Decoder()
    chunks = [WIRE[at : at + size] for at in range(0, len(WIRE), size)]
    assert list(itertools.chain.from_iterable(map(decoder.push, chunks))) == EVENTS
    assert decoder.retry == 1.5


def test_an_event_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline.hub.sse.MOST", 10)
    with pytest.raises(TooLargeError):
        list(Decoder().push(b"data: 12345\ndata: 678901"))


def test_waits_double_within_bounds_and_start_over() -> None:
    backoff = Backoff()
    for failures in range(40):
        whole = min(0.2 * 2**failures, LONGEST)
        assert whole / 2 <= backoff.next() <= whole
    backoff.reset()
    assert backoff.next() <= 0.2
    assert 0.5 <= backoff.next(0.5) <= 1.0
    assert Backoff().next(0) > 0


def line(seq: int) -> str:
    return json.dumps({"type": "session.updated", "seq": seq, "at": 1, "by": "owner", "data": None})


def test_a_session_goes_on_after_what_it_has() -> None:
    cursor = SessionCursor("s", 3, "me")
    assert cursor.call().headers["last-event-id"] == "3"
    assert cursor.call().path == "/v1/sessions/s/events?client=me"
    assert cursor.read(ServerSentEvent("message", line(3), "3")) is None
    event = cursor.read(ServerSentEvent("message", line(4), "4"))
    assert isinstance(event, trunkline.Event)
    assert (event.seq, event.data) == (4, {})
    assert cursor.read(ServerSentEvent("gap", '{"first":41}', None)) == trunkline.Gap(41)
    assert cursor.call().headers["last-event-id"] == "40"
    assert cursor.read(ServerSentEvent("bye", "{}", None)) is None
    assert cursor.read(ServerSentEvent("later", "{}", None)) is None
    assert cursor.read(ServerSentEvent("deleted", "{}", None)) == trunkline.Deleted()
    assert cursor.over


def test_the_feed_goes_on_after_what_it_has() -> None:
    cursor = FeedCursor(None, {"s": 1, "t": 0}, None)
    assert cursor.call().path == "/v1/feed?sessions=s:1,t:0"
    lost = trunkline.Lost(trunkline.BrokenError("x"))
    assert cursor.lost(lost) is lost
    # It had no place to go on from.
    assert cursor.opened() == trunkline.FeedGap()
    assert cursor.opened() == trunkline.Open()
    events = f'{{"session":"s","events":[{line(1)},{line(2)}]}}'
    told = cursor.read(ServerSentEvent("events", events, None))
    assert isinstance(told, trunkline.FeedEvents)
    assert [event.seq for event in told.events] == [2]
    assert cursor.read(ServerSentEvent("events", '{"session":"s","events":[],"head":2}', None)) == (
        trunkline.FeedSessionCaughtUp("s", 2)
    )
    assert cursor.read(ServerSentEvent("events", '{"session":"s","events":[],"gap":9}', None)) == (
        trunkline.FeedSessionGap("s", 9)
    )
    gone = ServerSentEvent("session-removed", '{"id":"t"}', "77")
    assert cursor.read(gone) == trunkline.FeedSessionRemoved("t")
    assert cursor.call().path == "/v1/feed?after=77&sessions=s:2"


def test_paths_and_queries_are_escaped() -> None:
    assert query(workspace="/a b/ü&x=1", no=None, n=50) == "?workspace=/a%20b/%C3%BC%26x%3D1&n=50"
    assert query(no=None) == ""
    assert segment("a/b?") == "a%2Fb%3F"


def test_only_what_is_safe_to_repeat_is_repeated() -> None:
    assert Call.get("/x").may_repeat
    assert Call.command("/x").may_repeat
    assert not Call.post("/x").may_repeat
    assert not Call.delete("/x").may_repeat


def test_times_are_milliseconds() -> None:
    at = datetime(2026, 11, 27, 20, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    assert millis(at) == 1795802400123
    session = trunkline.Session.model_validate(
        {
            "id": "s",
            "state": "dancing",
            "agent": "a",
            "driver": "d",
            "created_at": 1795802400123,
            "created_by": "owner",
            "updated_at": 0,
            "later": 1,
        }
    )
    assert session.created_at == at.replace(microsecond=123000)
    assert (session.state, session.model_extra) == ("dancing", {"later": 1})
    assert json.loads(session.model_dump_json())["created_at"] == 1795802400123


@pytest.mark.parametrize(
    ("status", "passing"),
    [(400, False), (401, False), (404, False), (409, False), (429, True), (500, True), (507, True)],
)
def test_what_may_pass_is_told_from_what_will_not(status: int, passing: bool) -> None:
    assert hub.errors.problem_from(status, {"code": "x"}).passing is passing


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(Origin("http://x", "secret"))


def test_every_name_is_found() -> None:
    assert sorted({*hub.__all__, "SessionBusClient", "__version__"}) == sorted(trunkline.__all__)
    for name in trunkline.__all__:
        assert hasattr(trunkline, name)
    assert set(trunkline.__all__) <= set(dir(trunkline))
    with pytest.raises(AttributeError, match="Nothing"):
        trunkline.Nothing  # type: ignore[attr-defined]  # noqa: B018


def test_the_synchronous_client_is_made_from_the_other() -> None:
    for path, text in unasync.files().items():
        assert path.read_text(encoding="utf-8") == text, "run `python unasync.py` in sdk/python"


class Recorded(Exception):
    """What would have been sent."""


def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """What each method of the client sends first."""

    def send(_: Transport, call: Call, *__: object) -> None:
        raise Recorded(call)

    for name in ("json", "content", "open"):
        monkeypatch.setattr(Transport, name, send)
    values: dict[str, Any] = {"prompt": "p", "turn": 1, "payload": {}, "scope": "viewer", "sessions": {}}
    with trunkline.Client(base_url="http://127.0.0.1:1", token="t") as client:
        for name, method in inspect.getmembers(client, inspect.ismethod):
            if name.startswith("_") or name == "close":
                continue
            wanted = [p.name for p in inspect.signature(method).parameters.values() if p.default is p.empty]
            with pytest.raises(Recorded) as recorded:
                # Iterators begin with the first step.
                next(method(*(values.get(parameter, "x") for parameter in wanted)))
            yield recorded.value.args[0]


def test_all_calls_are_in_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(__file__).parents[4] / "docs" / "openapi.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    known = [
        (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path)))
        for path, methods in document["paths"].items()
        for method in methods
    ]
    sent = list(calls(monkeypatch))
    assert len(sent) > 30
    for call in sent:
        path_alone = call.path.partition("?")[0]
        assert any(method == call.method and path.fullmatch(path_alone) for method, path in known), str(call)
