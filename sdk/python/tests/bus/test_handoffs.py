"""Handoffs in a file: existing ones, shared ones, and where they are."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bus.wire import PATIENCE
from hub.daemon import thread
from trunkline.bus import Bus

EXISTING = """
CREATE TABLE handoff_sessions (id TEXT PRIMARY KEY, agent_id TEXT NOT NULL, repo TEXT, status TEXT NOT NULL DEFAULT
    'active', task_summary TEXT, decisions TEXT, files_touched TEXT, todos TEXT, metadata TEXT, created TEXT NOT NULL,
    updated TEXT NOT NULL);
CREATE TABLE handoff_lanes (id TEXT PRIMARY KEY, session_id TEXT NOT NULL, from_agent TEXT NOT NULL, to_agent TEXT NOT
    NULL, status TEXT NOT NULL DEFAULT 'open', context TEXT, created TEXT NOT NULL, updated TEXT NOT NULL, FOREIGN KEY
    (session_id) REFERENCES handoff_sessions(id));
CREATE TABLE handoff_checkpoints (created TEXT NOT NULL, id TEXT PRIMARY KEY, session_id TEXT NOT NULL, lane_id TEXT,
    agent_id TEXT NOT NULL, snapshot TEXT, FOREIGN KEY (session_id) REFERENCES handoff_sessions(id));
INSERT INTO handoff_sessions VALUES ('aaaaaaaaaaaa', 'old', NULL, 'paused', 'half done', '["d"]', '[]', 'not json',
    '{"n": NaN}', '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00.000001+00:00');
INSERT INTO handoff_sessions (id, agent_id, created, updated) VALUES
    ('000000000002', 'twin', '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00'),
    ('000000000003', 'twin', '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00'),
    ('000000000001', 'twin', '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00');
"""


def test_a_database_of_before_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "handoff.db"
    with contextlib.closing(sqlite3.connect(path)) as before:
        before.executescript(EXISTING)
    with Bus(db_path=path) as bus:
        found = bus.get_session(agent_id="old")
        assert found
        assert (found["id"], found["decisions"], found["todos"]) == ("aaaaaaaaaaaa", ["d"], "not json")
        # Of those of one moment, the one that was written last is the latest.
        assert [session["id"][-1] for session in bus.list_sessions("twin")] == ["1", "3", "2"]
        lane = bus.open_lane("aaaaaaaaaaaa", "old", "new")
        bus.checkpoint("aaaaaaaaaaaa", "old", {"n": 1}, lane)
        bus.update_session("aaaaaaaaaaaa", status="active")
        later = bus.save_session("old")
    with Bus(db_path=str(path)) as bus:
        assert [session["id"] for session in bus.list_sessions("old")] == [later, "aaaaaaaaaaaa"]
        assert bus.list_checkpoints(lane_id=lane)[0]["snapshot"] == {"n": 1}
    with contextlib.closing(sqlite3.connect(path)) as after:
        assert after.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        rows = after.execute("SELECT agent_id, decisions, metadata FROM handoff_sessions WHERE id = ?", [later])
        assert [(agent, json.loads(decisions), json.loads(meta)) for agent, decisions, meta in rows] == [
            ("old", [], {})
        ]


def test_home_is_expanded(tmp_path: Path) -> None:
    program = "from trunkline.bus import Bus; Bus(db_path='~/.engram/handoff.db').save_session('a')"
    env = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE, env=env)
    with Bus(db_path=tmp_path / ".engram" / "handoff.db") as bus:
        assert [session["agent_id"] for session in bus.list_sessions()] == ["a"]


def test_many_open_a_new_database_at_once(tmp_path: Path) -> None:
    for turn in range(5):
        path = tmp_path / f"{turn}.db"
        barrier = threading.Barrier(8)

        def save(path: Path, barrier: threading.Barrier) -> None:
            barrier.wait(PATIENCE)
            with Bus(db_path=path) as bus:
                for _ in range(5):
                    bus.save_session("a")

        with contextlib.ExitStack() as stack:
            for _ in range(8):
                stack.enter_context(thread(save, path, barrier))
        with Bus(db_path=path) as bus:
            assert len(bus.list_sessions()) == 40


def test_what_is_no_database_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_text("hello, this is a text and no database at all" * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        Bus(db_path=path)
    with pytest.raises(OSError, match="exists"):
        Bus(db_path=path / "below.db")


def test_memory_is_no_file(tmp_path: Path) -> None:
    with Bus(db_path=":memory:") as bus, Bus() as other:
        bus.save_session("a")
        assert other.list_sessions() == []
    assert list(tmp_path.iterdir()) == []
