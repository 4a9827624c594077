"""Records of work that one agent leaves for the next: sessions, lanes, checkpoints, in SQLite.

The tables are those of existing databases, so a file of before is opened as it is.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from trunkline.bus.codec import encode
from trunkline.bus.errors import BusError

__all__ = ["Handoffs"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS handoff_sessions (
    id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    repo TEXT,
    status TEXT NOT NULL DEFAULT 'active',
    task_summary TEXT,
    decisions TEXT,
    files_touched TEXT,
    todos TEXT,
    metadata TEXT,
    created TEXT NOT NULL,
    updated TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS handoff_lanes (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES handoff_sessions(id),
    from_agent TEXT NOT NULL,
    to_agent TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'open',
    context TEXT,
    created TEXT NOT NULL,
    updated TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS handoff_checkpoints (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES handoff_sessions(id),
    lane_id TEXT REFERENCES handoff_lanes(id),
    agent_id TEXT NOT NULL,
    snapshot TEXT,
    created TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS trunkline_handoff_sessions ON handoff_sessions(updated);
CREATE INDEX IF NOT EXISTS trunkline_handoff_lanes ON handoff_lanes(session_id);
CREATE INDEX IF NOT EXISTS trunkline_handoff_checkpoints ON handoff_checkpoints(session_id);
"""
_SESSION = ("agent_id", "repo", "status", "task_summary", "decisions", "files_touched", "todos", "metadata")
_LANE = ("session_id", "from_agent", "to_agent", "status", "context")
_CHECKPOINT = ("session_id", "lane_id", "agent_id", "snapshot")
_CHANGED = ("created", "updated")
_TEXT = ("status", "task_summary", "repo")
_JSON = ("decisions", "files_touched", "todos", "metadata")
_DECODED = frozenset({*_JSON, "context", "snapshot"})
_MEMORY = ":memory:"
_BUSY_S = 5.0
# How long to rest before a lock that SQLite does not wait for is tried again.
_REST_S = 0.005


class Handoffs:
    """The store. One connection, one lock, made when it is needed first; any thread may call.

    Each change is one statement that commits by itself, so nothing that fails leaves a transaction behind.
    """

    def __init__(self, path: str | PathLike[str] | None, stamp: Callable[[], str]) -> None:
        self._path = _MEMORY if path is None or str(path) == _MEMORY else str(Path(path).expanduser())
        self._stamp = stamp
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._closed = False
        if path is not None:
            with self._lock:
                self._opened()

    @property
    def on_disk(self) -> bool:
        """Tell whether another process may make this one wait."""
        return self._path != _MEMORY

    def close(self) -> None:
        """Close the database. What is not on disk is gone."""
        with self._lock:
            self._closed = True
            if self._db is not None:
                self._db.close()
                self._db = None

    def save_session(
        self,
        agent_id: Any,
        repo: Any = None,
        status: Any = "active",
        task_summary: Any = None,
        decisions: Any = None,
        files_touched: Any = None,
        todos: Any = None,
        metadata: Any = None,
    ) -> str:
        """Record a piece of work; return its id."""
        lists = [_json(value or []) for value in (decisions, files_touched, todos)]
        scalars = _scalars(2, agent_id, repo, status, task_summary)
        return self._insert("handoff_sessions", (*_SESSION, *_CHANGED), [*scalars, *lists, _json(metadata or {})])

    def get_session(self, session_id: Any = None, agent_id: Any = None, repo: Any = None) -> dict[str, Any] | None:
        """Return a session by its id, else the latest of an agent, in a repository if given, else of that."""
        if session_id:
            wanted = {"id": session_id}
        elif agent_id:
            wanted = {"agent_id": agent_id} if repo is None else {"agent_id": agent_id, "repo": repo}
        elif repo is not None:
            wanted = {"repo": repo}
        else:
            return None
        return next(iter(self._select("handoff_sessions", wanted, "updated", limit=1)), None)

    def list_sessions(self, agent_id: Any = None, status: Any = None, repo: Any = None) -> list[dict[str, Any]]:
        """List sessions, the one that was changed last first."""
        wanted = _truthy(agent_id=agent_id, status=status)
        if repo is not None:
            wanted["repo"] = repo
        return self._select("handoff_sessions", wanted, "updated")

    def update_session(self, session_id: Any, changes: dict[str, Any]) -> None:
        """Change what is given of a session; what is none of its fields is passed over.

        Raises:
            BusError: there is no such session.
        """
        changed = {name: changes[name] for name in _TEXT if name in changes}
        changed.update({name: _json(changes[name]) for name in _JSON if name in changes})
        self._update("handoff_sessions", "session", session_id, changed)

    def open_lane(self, session_id: Any, from_agent: Any, to_agent: Any, context: Any = None) -> str:
        """Open a lane from one agent to another; return its id."""
        scalars = _scalars(2, session_id, from_agent, to_agent, "open")
        return self._insert("handoff_lanes", (*_LANE, *_CHANGED), [*scalars, _json(context or {})])

    def get_lane(self, lane_id: Any) -> dict[str, Any] | None:
        """Return a lane."""
        return next(iter(self._select("handoff_lanes", {"id": lane_id}, "created", limit=1)), None)

    def list_lanes(self, session_id: Any = None) -> list[dict[str, Any]]:
        """List lanes, the latest first."""
        return self._select("handoff_lanes", _truthy(session_id=session_id), "created")

    def close_lane(self, lane_id: Any) -> None:
        """Close a lane.

        Raises:
            BusError: there is no such lane.
        """
        self._update("handoff_lanes", "lane", lane_id, {"status": "closed"})

    def checkpoint(self, session_id: Any, agent_id: Any, snapshot: Any, lane_id: Any = None) -> str:
        """Keep how far a session has come; return the checkpoint's id.

        Raises:
            BusError: the lane is one of another session.
        """
        scalars = _scalars(2, session_id, lane_id, agent_id)
        here = {"id": lane_id, "session_id": session_id}
        if lane_id is not None and self.get_lane(lane_id) and not self._select("handoff_lanes", here, "created"):
            raise BusError(f"lane {lane_id!r} belongs to another session than {session_id!r}")
        return self._insert("handoff_checkpoints", (*_CHECKPOINT, "created"), [*scalars, _json(snapshot)])

    def list_checkpoints(self, session_id: Any = None, lane_id: Any = None) -> list[dict[str, Any]]:
        """List checkpoints, the latest first."""
        return self._select("handoff_checkpoints", _truthy(session_id=session_id, lane_id=lane_id), "created")

    def _insert(self, table: str, columns: Sequence[str], values: list[Any]) -> str:
        new = secrets.token_hex(6)
        marks = ", ".join("?" * (1 + len(columns)))
        with self._lock:
            now = self._stamp()
            row = [new, *values, *[now] * (len(columns) - len(values))]
            query = f"INSERT INTO {table} (id, {', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names of ours
            try:
                self._opened().execute(query, row)
            except sqlite3.IntegrityError as error:
                raise _told(error, dict(zip(columns, values, strict=False))) from None
        return new

    def _update(self, table: str, noun: str, row_id: Any, changed: dict[str, Any]) -> None:
        with self._lock:
            db = self._opened()
            if changed:
                names = ", ".join(f"{name} = ?" for name in [*changed, "updated"])
                values = [*_scalars(1, *changed.values()), self._stamp(), row_id]
                found = db.execute(f"UPDATE {table} SET {names} WHERE id = ?", values).rowcount  # noqa: S608
            else:
                found = len(db.execute(f"SELECT 1 FROM {table} WHERE id = ?", [row_id]).fetchall())  # noqa: S608
        if not found:
            raise BusError(f"no {noun} {row_id!r}")

    def _select(self, table: str, wanted: dict[str, Any], order: str, limit: int = -1) -> list[dict[str, Any]]:
        where = " AND ".join(f"{name} = ?" for name in wanted) or "1"
        # What was inserted later is later, also within one microsecond.
        query = f"SELECT * FROM {table} WHERE {where} ORDER BY {order} DESC, rowid DESC LIMIT ?"  # noqa: S608
        with self._lock:
            found = self._opened().execute(query, [*_scalars(1, *wanted.values()), limit])
            names = [column[0] for column in found.description]
            rows = found.fetchall()
        return [_object(dict(zip(names, row, strict=True))) for row in rows]

    def _opened(self) -> sqlite3.Connection:
        """Return the connection; whoever calls holds the lock."""
        if self._closed:
            raise BusError("the bus is closed")
        if self._db is None:
            if self.on_disk:
                Path(self._path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Without `isolation_level` SQLite commits each statement itself.
            db = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                _keep_log(db)
                db.execute("PRAGMA synchronous = NORMAL")
                db.executescript(_SCHEMA)
                db.execute("PRAGMA foreign_keys = ON")
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db


def _keep_log(db: sqlite3.Connection) -> None:
    """Have the database keep a write-ahead log.

    While another connection does the same, SQLite says at once that it is locked, whatever it was told of waiting.
    """
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
            time.sleep(_REST_S)
        else:
            return


def _object(row: dict[str, Any]) -> dict[str, Any]:
    for name in _DECODED & row.keys():
        row[name] = _read(row[name])
    return row


def _told(error: sqlite3.IntegrityError, row: dict[str, Any]) -> sqlite3.IntegrityError:
    """Return the error, with what it does not say: what is not there."""
    if "FOREIGN KEY" not in str(error):
        return error
    missing = [f"no session {row['session_id']!r}"]
    if row.get("lane_id") is not None:
        missing.append(f"no lane {row['lane_id']!r}")
    return sqlite3.IntegrityError(f"{error}: there is {' or '.join(missing)}")


def _read(text: str | None) -> Any:
    """Return what a column of JSON holds. What another program wrote there and is none, is text."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _json(value: Any) -> str:
    return encode(value).decode("ascii").rstrip("\n")


def _scalars(first: int, *values: Any) -> list[Any]:
    """Return values for a statement, whose parameters are counted from ``first`` on."""
    for number, value in enumerate(values, first):
        if not isinstance(value, (str, int, float, bytes, type(None))):
            raise TypeError(f"Error binding parameter {number}: type {type(value).__name__!r} is not supported")
    return list(values)


def _truthy(**wanted: Any) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if value}
