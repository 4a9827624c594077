"""The original's client: what it sends, word for word, and the whole loop against the daemon."""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

import trunkline
from hub.daemon import Daemon
from trunkline import SessionBusClient
from trunkline.sessionbus import AgentFlowClient

SIGNATURES = {
    "__init__": "(self, base_url=None, timeout=30.0)",
    "ack_message": "(self, session_id, message_id)",
    "close": "(self)",
    "create_request": "(self, session_id, *, title, question, context_json=None, priority='NORMAL', tags=None, "
    "idempotency_key=None)",
    "heartbeat": "(self, session_id, state=None, metadata=None)",
    "list_sessions": "(self)",
    "poll_inbox": "(self, session_id, timeout=30)",
    "register_session": "(self, display_name, tenant_id=None, metadata=None)",
    "respond_to_request": "(self, request_id, *, response_text, responder='human', idempotency_key=None)",
    "set_state": "(self, session_id, state)",
}


def test_the_methods_are_the_originals() -> None:
    ours = {}
    for name, method in inspect.getmembers(SessionBusClient, inspect.isfunction):
        if name == "__init__" or not name.startswith("_"):
            signature = inspect.signature(method)
            bare = [
                parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()
            ]
            ours[name] = str(inspect.Signature(bare))
    assert ours == SIGNATURES
    assert AgentFlowClient is SessionBusClient


class Hub(BaseHTTPRequestHandler):
    """Writes down what it is sent, and answers what it was told to."""

    heard: ClassVar[list[tuple[str, str, str | None, Any]]] = []
    answer: ClassVar[tuple[int, Any]] = (200, {})

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        self.heard.append((self.command, self.path, self.headers.get("x-idempotency-key"), body))
        status, answer = self.answer
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - the name is that of http.server

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[SessionBusClient]:
    Hub.heard.clear()
    Hub.answer = (200, {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    with SessionBusClient(f"http://127.0.0.1:{server.server_port}//") as client:
        assert client.base_url == f"http://127.0.0.1:{server.server_port}"
        yield client
    server.shutdown()
    serving.join()
    server.server_close()


def test_what_is_sent(hub: SessionBusClient) -> None:
    Hub.answer = (200, {"session_id": "s", "request_id": "r", "messages": [{"message_id": "m"}]})
    assert hub.register_session("me") == "s"
    assert hub.heartbeat("s") == Hub.answer[1]
    hub.heartbeat("s", "WORKING", {"a": 1})
    hub.set_state("s", "DONE")
    assert hub.create_request("s", title="T", question="Q?") == "r"
    hub.create_request("s", title="T", question="Q?", tags=[], idempotency_key="k")
    hub.create_request("s", title="T", question="Q?", idempotency_key="")
    hub.respond_to_request("r", response_text="yes", idempotency_key="k2")
    assert hub.poll_inbox("s") == [{"message_id": "m"}]
    hub.poll_inbox("s", timeout=5)
    hub.ack_message("s", "m")
    request = {"title": "T", "question": "Q?", "context_json": None, "priority": "NORMAL", "tags": None}
    assert Hub.heard == [
        ("POST", "/api/sessions/register", None, {"display_name": "me", "tenant_id": None, "metadata": None}),
        ("POST", "/api/sessions/s/heartbeat", None, {"state": None, "metadata": None}),
        ("POST", "/api/sessions/s/heartbeat", None, {"state": "WORKING", "metadata": {"a": 1}}),
        ("POST", "/api/sessions/s/state", None, {"state": "DONE"}),
        ("POST", "/api/sessions/s/requests", None, request),
        ("POST", "/api/sessions/s/requests", "k", {**request, "tags": []}),
        ("POST", "/api/sessions/s/requests", None, request),
        ("POST", "/api/requests/r/respond", "k2", {"response_text": "yes", "responder": "human"}),
        ("GET", "/api/sessions/s/inbox?timeout=30", None, None),
        ("GET", "/api/sessions/s/inbox?timeout=5", None, None),
        ("POST", "/api/sessions/s/inbox/m/ack", None, None),
    ]


def test_what_comes_back(hub: SessionBusClient) -> None:
    assert hub.poll_inbox("s") == []
    Hub.answer = (200, [{"session_id": "s"}])
    assert hub.list_sessions() == [{"session_id": "s"}]
    for status in (307, 404, 422, 500):
        Hub.answer = (status, {"detail": "no"})
        with pytest.raises(httpx.HTTPStatusError) as refused:
            hub.list_sessions()
        assert refused.value.response.status_code == status


def test_where_a_hub_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TRUNKLINE_HOME", raising=False)

    def found() -> str:
        with SessionBusClient() as client:
            return client.base_url

    assert found() == "http://127.0.0.1:8765"
    for name, runtime, expected in [
        (".sessionbus", '{"base_url": "http://127.0.0.1:1/", "port": 1}', "http://127.0.0.1:1"),
        (".agentflow", "{", "http://127.0.0.1:1"),
        (".agentflow", '["base_url"]', "http://127.0.0.1:1"),
        (".agentflow", '{"base_url": ""}', "http://127.0.0.1:1"),
        (".agentflow", '{"base_url": "http://127.0.0.1:2//"}', "http://127.0.0.1:2"),
        (".trunkline", "{", "http://127.0.0.1:2"),
        (".trunkline", '{"base_url": "http://127.0.0.1:3"}', "http://127.0.0.1:3"),
    ]:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "runtime.json").write_text(runtime)
        assert found() == expected


@pytest.fixture(params=["socket", "port"])
def agent(
    request: pytest.FixtureRequest, daemon: Daemon, client: trunkline.Client, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SessionBusClient]:
    """The original's client of the daemon under test, found by itself or by its address."""
    monkeypatch.setenv("HOME", str(daemon.root))
    monkeypatch.setenv("TRUNKLINE_HOME", str(daemon.home))
    with SessionBusClient(None if request.param == "socket" else client.base_url) as agent:
        yield agent


def test_the_loop_of_the_original(agent: SessionBusClient, client: trunkline.Client) -> None:
    session_id = agent.register_session("loop", metadata={"repo": "demo"})
    assert agent.heartbeat(session_id, state="WORKING")["state"] == "WORKING"
    request_id = agent.create_request(
        session_id,
        title="Proceed with migration?",
        question="Yes or no?",
        context_json={"tables": 3},
        priority="HIGH",
        tags=["db"],
        idempotency_key="loop-1",
    )
    again = agent.create_request(session_id, title="x", question="y", idempotency_key="loop-1")
    assert again == request_id
    assert agent.poll_inbox(session_id, timeout=0) == []
    (summary,) = (one for one in agent.list_sessions() if one["session_id"] == session_id)
    assert (summary["state"], summary["pending_request_count"]) == ("WAITING_FOR_INPUT", 1)
    # It is a session like any other, and can be answered from anywhere.
    assert client.answer(request_id, text="yes").is_closed
    (message,) = agent.poll_inbox(session_id, timeout=30)
    assert message["type"] == "INPUT_RESPONSE"
    assert message["payload"]["request_id"] == request_id
    assert message["payload"]["response_text"] == "yes"
    assert agent.ack_message(session_id, message["message_id"])["status"] == "ACKED"
    assert agent.poll_inbox(session_id, timeout=0) == []
    assert agent.set_state(session_id, "DONE")["response_acknowledged"] is True


def test_the_first_response_stays(agent: SessionBusClient) -> None:
    session_id = agent.register_session("answers")
    request_id = agent.create_request(session_id, title="T", question="Q?")
    for text in ("first", "second"):
        told = agent.respond_to_request(request_id, response_text=text, responder="me")
        assert told == {"request_id": request_id, "status": "ANSWERED"}
    (message,) = agent.poll_inbox(session_id)
    assert message["payload"]["response_text"] == "first"


def test_a_poll_may_be_longer_than_other_answers(agent: SessionBusClient) -> None:
    session_id = agent.register_session("slow")
    with SessionBusClient(agent.base_url, timeout=0.8) as hasty:
        assert hasty.poll_inbox(session_id, timeout=2) == []


def test_what_is_not_there(agent: SessionBusClient) -> None:
    with pytest.raises(httpx.HTTPStatusError) as missing:
        agent.heartbeat("nobody")
    assert missing.value.response.status_code == 404
    with pytest.raises(httpx.HTTPStatusError) as invalid:
        agent.register_session("")
    assert invalid.value.response.status_code == 422
