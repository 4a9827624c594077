"""Lines and what they mean."""

from __future__ import annotations

import json
import random

import pytest

from trunkline.stdiobus import AuditEvent, Identity, InternalError, PolicyDeniedError, RequestOptions
from trunkline.stdiobus.wire import (
    Answer,
    Call,
    LineSplitter,
    Notification,
    answer_line,
    chunk_text,
    message_line,
    read,
)


def test_lines_are_the_same_however_the_bytes_are_cut() -> None:
    data = b'{"a":1}\n\n{"b":2}\r\n\r\n{"c":"\xc3\xa9"}\n{"unfinished'
    whole = [b'{"a":1}', b'{"b":2}', b'{"c":"\xc3\xa9"}']
    for seed in range(200):
        dice = random.Random(seed)  # noqa: S311 - no secret
        splitter, lines, at = LineSplitter(), [], 0
        while at < len(data):
            step = dice.randint(1, 9)
            lines += splitter.feed(data[at : at + step])
            at += step
        assert lines == whole, f"seed {seed}"


def test_a_line_beyond_the_limit_is_dropped_and_the_next_is_not() -> None:
    splitter = LineSplitter(limit=8)
    assert splitter.feed(b"12345678\n12345") == [b"12345678"]
    assert splitter.feed(b"6789") == []
    assert splitter.feed(b"still the long one\nshort\n") == [b"short"]
    assert splitter.dropped == 1


def test_reset_forgets_an_unfinished_line() -> None:
    splitter = LineSplitter()
    splitter.feed(b'{"half')
    splitter.reset()
    assert splitter.feed(b"whole\n") == [b"whole"]


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ('{"id":"a","result":1}', Answer("a", 1, None)),
        ('{"id":7,"result":null}', Answer("7", None, None)),
        ('{"id":"a","method":"m","result":{}}', Answer("a", {}, None)),
        ('{"id":"a"}', Answer("a", None, None)),
        ('{"id":3,"method":"ask"}', Call(3, {"id": 3, "method": "ask"})),
        ('{"method":"m"}', Notification({"method": "m"}, None, None, None)),
        ('{"id":null,"method":"m"}', Notification({"id": None, "method": "m"}, None, None, None)),
        ('{"id":null,"error":{"code":-32700,"message":"Parse error"}}', None),
        ("{}", None),
    ],
)
def test_a_line_means(line: str, meaning: object) -> None:
    assert read(line) == meaning


@pytest.mark.parametrize("line", ["", "nonsense", "[1]", "7", '"text"', "{"])
def test_what_is_no_object_is_no_message(line: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read(line)


@pytest.mark.parametrize(
    ("error", "kind", "message", "details"),
    [
        ({"code": 7, "message": "no", "data": [1]}, PolicyDeniedError, "no", [1]),
        ({"code": -32601, "message": "Method not found"}, InternalError, "Method not found", None),
        ({"code": "7"}, InternalError, "Unknown error", None),
        ("broken", InternalError, "Unknown error: broken", None),
    ],
)
def test_an_error_is_read(error: object, kind: type, message: str, details: object) -> None:
    answer = read(json.dumps({"id": "a", "error": error}))
    assert isinstance(answer, Answer)
    assert answer.error is not None
    assert (type(answer.error), answer.error.message, answer.error.details) == (kind, message, details)


def test_a_notification_says_who_it_is_about() -> None:
    line = '{"method":"m","sessionId":"s","requestId":"r","params":{"sessionId":"a"}}'
    told = read(line)
    assert isinstance(told, Notification)
    assert (told.request, told.session, told.agent_session, told.named_by_worker) == ("r", "s", "a", False)
    by_worker = read('{"method":"m","sessionId":7,"params":{"_meta":{"requestId":"x"}}}')
    assert isinstance(by_worker, Notification)
    assert (by_worker.request, by_worker.session, by_worker.named_by_worker) == ("x", None, True)


@pytest.mark.parametrize(
    ("update", "text"),
    [
        ({"sessionUpdate": "agent_message_chunk", "content": {"text": "hi"}}, "hi"),
        ({"sessionUpdate": "agent_message_chunk", "content": {"text": 1}}, ""),
        ({"sessionUpdate": "agent_message_chunk", "content": "hi"}, ""),
        ({"sessionUpdate": "agent_thought_chunk", "content": {"text": "hm"}}, ""),
        (["agent_message_chunk"], ""),
    ],
)
def test_the_text_of_a_chunk(update: object, text: str) -> None:
    assert chunk_text({"method": "session/update", "params": {"update": update}}) == text


def test_a_request_has_what_was_given_and_no_more() -> None:
    everything = RequestOptions(
        agent_id="agent",
        pool="blue",
        identity=Identity("user", "operator"),
        audit=AuditEvent("e1", "ask", outcome="ok"),
    )
    assert json.loads(message_line("m", {"a": "é"}, everything, "s", "1")) == {
        "jsonrpc": "2.0",
        "id": "1",
        "method": "m",
        "params": {"a": "é"},
        "sessionId": "s",
        "pool": "blue",
        "agentId": "agent",
        "_ext": {
            "identity": {"subjectId": "user", "role": "operator", "assertedBy": "self"},
            "audit": {"eventId": "e1", "action": "ask", "outcome": "ok"},
        },
    }
    assert message_line("m", {}, RequestOptions(), "s") == '{"jsonrpc":"2.0","method":"m","sessionId":"s"}'


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError):
        message_line("m", {"a": object()}, RequestOptions(), "s")
    with pytest.raises(ValueError, match="JSON compliant"):
        message_line("m", {"a": float("nan")}, RequestOptions(), "s")


def test_an_answer_goes_home_by_its_session() -> None:
    call = Call(5, {"id": 5, "method": "ask", "sessionId": "s"})
    assert json.loads(answer_line(call, {"ok": 1}, None)) == {
        "jsonrpc": "2.0",
        "id": 5,
        "result": {"ok": 1},
        "sessionId": "s",
    }
    refused = json.loads(answer_line(Call("x", {}), None, PolicyDeniedError("no", {"why": 1})))
    assert refused == {"jsonrpc": "2.0", "id": "x", "error": {"code": 7, "message": "no", "data": {"why": 1}}}
