"""The client of the original Session I/O Bus, for its programs: change the import, and they run with Trunkline.

Methods, arguments, results and errors are the original's. New programs are better off with :class:`trunkline.Client`.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from trunkline.hub.errors import HomeError
from trunkline.hub.home import SOCKET, default_home, read_runtime
from trunkline.hub.ways import UnixTransport

__all__ = ["AgentFlowClient", "SessionBusClient"]

FALLBACK = "http://127.0.0.1:8765"
_GRACE = 10.0


class SessionBusClient:
    """A hub, as an agent sees it.

    Without ``base_url`` it is the Trunkline daemon of the home directory, by its Unix socket; if there is none, the
    hub that ``~/.agentflow/runtime.json`` or ``~/.sessionbus/runtime.json`` names; else the original's default
    address.
    ``timeout`` is how long each answer may take, in seconds; a poll that is longer gets the time it needs.

    Raises:
        httpx.HTTPStatusError: by every method, for an answer that is no success.
    """

    def __init__(self, base_url: str | None = None, timeout: float = 30.0) -> None:
        socket = None
        if base_url is None:
            base_url, socket = _discover()
        self.base_url = base_url.rstrip("/")
        self._timeout = timeout
        transport = UnixTransport(socket) if socket else None
        self._http = httpx.Client(base_url=self.base_url, timeout=timeout, transport=transport)

    def __enter__(self) -> SessionBusClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def register_session(
        self, display_name: str, tenant_id: str | None = None, metadata: dict[str, Any] | None = None
    ) -> str:
        """Make a session of this agent; give its id."""
        new = {"display_name": display_name, "tenant_id": tenant_id, "metadata": metadata}
        return str(self._post("/api/sessions/register", new)["session_id"])

    def heartbeat(
        self, session_id: str, state: str | None = None, metadata: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Say that the agent lives, and what it does; give the session."""
        return self._post(f"{_session(session_id)}/heartbeat", {"state": state, "metadata": metadata})

    def set_state(self, session_id: str, state: str) -> dict[str, Any]:
        """Say what the agent does: ``WORKING``, ``WAITING_FOR_INPUT``, ``DONE`` or ``ERROR``; give the session."""
        return self._post(f"{_session(session_id)}/state", {"state": state})

    def list_sessions(self) -> list[dict[str, Any]]:
        """List all sessions, the one last seen first."""
        sessions: list[dict[str, Any]] = _read(self._http.get("/api/sessions"))
        return sessions

    def create_request(
        self,
        session_id: str,
        *,
        title: str,
        question: str,
        context_json: Any = None,
        priority: str = "NORMAL",
        tags: list[str] | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Ask people something; give the request's id. Priorities: ``LOW``, ``NORMAL``, ``HIGH``, ``URGENT``."""
        new = {
            "title": title,
            "question": question,
            "context_json": context_json,
            "priority": priority,
            "tags": tags,
        }
        return str(self._post(f"{_session(session_id)}/requests", new, idempotency_key)["request_id"])

    def respond_to_request(
        self, request_id: str, *, response_text: str, responder: str = "human", idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Answer a request. The first answer stays; give the request's id and status."""
        answer = {"response_text": response_text, "responder": responder}
        return self._post(f"/api/requests/{quote(request_id, safe='')}/respond", answer, idempotency_key)

    def poll_inbox(self, session_id: str, timeout: int = 30) -> list[dict[str, Any]]:
        """Fetch the messages that are not acknowledged, waiting up to ``timeout`` seconds for one."""
        patience = httpx.Timeout(self._timeout, read=max(self._timeout, timeout + _GRACE))
        response = self._http.get(f"{_session(session_id)}/inbox", params={"timeout": timeout}, timeout=patience)
        messages: list[dict[str, Any]] = _read(response).get("messages", [])
        return messages

    def ack_message(self, session_id: str, message_id: str) -> dict[str, Any]:
        """Say that a message is dealt with; give its id and status."""
        return self._post(f"{_session(session_id)}/inbox/{quote(message_id, safe='')}/ack")

    def _post(self, path: str, new: Any = None, key: str | None = None) -> dict[str, Any]:
        headers = {"X-Idempotency-Key": key} if key else None
        told: dict[str, Any] = _read(self._http.post(path, json=new, headers=headers))
        return told


AgentFlowClient = SessionBusClient


def _session(session_id: str) -> str:
    return f"/api/sessions/{quote(session_id, safe='')}"


def _read(response: httpx.Response) -> Any:
    response.raise_for_status()
    return response.json()


def _discover() -> tuple[str, str | None]:
    """Return the address of a hub, and its Unix socket if it has one."""
    home = default_home()
    try:
        base_url = read_runtime(home)
    except HomeError:
        base_url = None
    if base_url is not None:
        socket = home / SOCKET
        return base_url, str(socket) if socket.exists() else None
    for name in (".agentflow", ".sessionbus"):
        try:
            runtime = json.loads((Path.home() / name / "runtime.json").read_bytes())
        except (OSError, ValueError):
            continue
        base_url = runtime.get("base_url") if isinstance(runtime, dict) else None
        if isinstance(base_url, str) and base_url:
            return base_url, None
    return FALLBACK, None
