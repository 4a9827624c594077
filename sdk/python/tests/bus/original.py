"""The original's two ends, as small as they can be: what a program written for it does, and what it meets."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from trunkline.bus.engine import OPERATIONS, Engine

PATIENCE = 60
NEW_OPS = {"hello", "transfers", "unsubscribe"}


class OriginalClient:
    """Reads pushes only while it waits for a reply, and knows one by the key ``event``.

    Some methods raise ``RuntimeError`` for a reply that is not ok, others return what is falsy. Here it waits a
    minute for a reply at most.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 9470) -> None:
        self._sock = socket.create_connection((host, port), PATIENCE)
        self._lines = self._sock.makefile("r", encoding="utf-8", newline="\n")
        self._callbacks: dict[Any, list[Callable[[Any, Any, Any], object]]] = {}

    def __enter__(self) -> OriginalClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._lines.close()
        self._sock.close()

    def _call(self, op: str, **fields: Any) -> dict[str, Any]:
        self._sock.sendall(json.dumps({"op": op, **fields}).encode() + b"\n")
        while True:
            line = self._lines.readline()
            if not line:
                raise ConnectionError("Server closed connection")
            message: dict[str, Any] = json.loads(line)
            if "event" not in message:
                return message
            for callback in self._callbacks.get(message["topic"], ()):
                with contextlib.suppress(Exception):
                    callback(message["topic"], message["data"], message["agent"])

    def _must(self, op: str, **fields: Any) -> dict[str, Any]:
        reply = self._call(op, **fields)
        if not reply.get("ok"):
            raise RuntimeError(reply.get("error"))
        return reply

    def put(self, key: Any, value: Any, agent: Any = None, namespace: Any = "default") -> None:
        self._must("put", key=key, value=value, agent=agent, namespace=namespace)

    def get(self, key: Any, namespace: Any = "default") -> Any:
        return self._must("get", key=key, namespace=namespace).get("value")

    def delete(self, key: Any, namespace: Any = "default") -> Any:
        return self._call("delete", key=key, namespace=namespace).get("deleted", False)

    def keys(self, namespace: Any = "default", agent: Any = None) -> Any:
        return self._call("keys", namespace=namespace, agent=agent).get("keys", [])

    def all(self, namespace: Any = "default") -> Any:
        return self._call("all", namespace=namespace).get("data", {})

    def clear(self, namespace: Any = "default") -> Any:
        return self._call("clear", namespace=namespace).get("count", 0)

    def publish(self, topic: Any, data: Any = None, agent: Any = None) -> Any:
        return self._call("publish", topic=topic, data=data, agent=agent).get("count", 0)

    def subscribe(self, topic: Any, callback: Callable[[Any, Any, Any], object]) -> None:
        self._must("subscribe", topic=topic)
        self._callbacks.setdefault(topic, []).append(callback)

    def signals(self, topic: Any = None, agent: Any = None, limit: Any = 50, since: Any = None) -> Any:
        return self._call("signals", topic=topic, agent=agent, limit=limit, since=since).get("signals", [])

    def register(self, agent_id: Any, metadata: Any = None) -> None:
        self._call("register", agent_id=agent_id, metadata=metadata)

    def agents(self) -> Any:
        return self._call("agents").get("agents", [])

    def transfer(self, from_agent: Any, to_agent: Any, keys: Any = None, namespace: Any = "default") -> Any:
        asked = {"from_agent": from_agent, "to_agent": to_agent, "keys": keys, "namespace": namespace}
        return self._call("transfer", **asked).get("keys", [])

    def snapshot(self, namespace: Any = "default") -> Any:
        return self._call("snapshot", namespace=namespace).get("data", {})

    def restore(self, data: Any, namespace: Any = "default") -> Any:
        return self._call("restore", data=data, namespace=namespace).get("count", 0)

    def save_session(self, **fields: Any) -> Any:
        return self._must("save_session", **fields)["session_id"]

    def get_session(self, session_id: Any = None, agent_id: Any = None, repo: Any = None) -> Any:
        return self._call("get_session", session_id=session_id, agent_id=agent_id, repo=repo).get("session")

    def list_sessions(self, agent_id: Any = None, status: Any = None, repo: Any = None) -> Any:
        return self._call("list_sessions", agent_id=agent_id, status=status, repo=repo).get("sessions", [])

    def update_session(self, session_id: Any, **fields: Any) -> None:
        self._must("update_session", session_id=session_id, **fields)

    def open_lane(self, session_id: Any, from_agent: Any, to_agent: Any, context: Any = None) -> Any:
        lane = {"session_id": session_id, "from_agent": from_agent, "to_agent": to_agent, "context": context}
        return self._must("open_lane", **lane)["lane_id"]

    def get_lane(self, lane_id: Any) -> Any:
        return self._call("get_lane", lane_id=lane_id).get("lane")

    def list_lanes(self, session_id: Any = None) -> Any:
        return self._call("list_lanes", session_id=session_id).get("lanes", [])

    def close_lane(self, lane_id: Any) -> None:
        self._must("close_lane", lane_id=lane_id)

    def checkpoint(self, session_id: Any, agent_id: Any, snapshot: Any, lane_id: Any = None) -> Any:
        asked = {"session_id": session_id, "agent_id": agent_id, "snapshot": snapshot, "lane_id": lane_id}
        return self._must("checkpoint", **asked)["checkpoint_id"]

    def list_checkpoints(self, session_id: Any = None, lane_id: Any = None) -> Any:
        return self._call("list_checkpoints", session_id=session_id, lane_id=lane_id).get("checkpoints", [])


class OriginalServer:
    """Knows the 25 operations only, has a thread for each connection, and writes what JSON does not have."""

    def __init__(self) -> None:
        self._engine = Engine()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> OriginalServer:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(PATIENCE)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._engine.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._open.add(sock)
                thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, sock: socket.socket) -> None:
        writing = threading.Lock()

        def write(message: dict[str, Any]) -> None:
            with writing:
                sock.sendall(json.dumps(message).encode() + b"\n")

        def push(signal: Any) -> None:
            write({"event": "signal", "topic": signal.topic, "data": signal.data, "agent": signal.agent})

        topics = set()
        with sock, sock.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                asked = json.loads(line)
                op = asked.get("op", "")
                try:
                    if op == "subscribe":
                        topics.add(asked["topic"])
                        self._engine.subscribe(asked["topic"], push)
                        write({"ok": True})
                    elif op in NEW_OPS or op not in OPERATIONS:
                        write({"ok": False, "error": f"unknown op: {op}"})
                    else:
                        write({"ok": True, **self._engine.perform(op, asked)})
                except Exception as error:  # as the original does
                    write({"ok": False, "error": str(error)})
        for topic in topics:
            self._engine.unsubscribe(topic, push)
        self._open.discard(sock)
