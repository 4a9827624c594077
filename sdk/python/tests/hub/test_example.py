"""The example, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import trunkline
from hub.daemon import PATIENCE, Daemon

AGENT = Path(__file__).parents[2] / "examples" / "agent.py"


def test_the_example_asks_and_acts(daemon: Daemon, client: trunkline.Client) -> None:
    at = client.sessions_page().at
    command = [sys.executable, str(AGENT), "--base-url", client.base_url, "--display-name", "nightly"]
    with subprocess.Popen(command, env=daemon.env, stdout=subprocess.PIPE, text=True) as agent:
        try:
            with client.feed(at) as feed:
                for item in feed:
                    if isinstance(item, trunkline.FeedRequest):
                        client.answer(item.request, "yes")
                        break
            said, _ = agent.communicate(timeout=PATIENCE)
        finally:
            agent.kill()
    assert (said, agent.returncode) == ("answer: yes\n", 0)
    (session,) = client.sessions(agent="nightly")
    assert session.state == "closed"
    assert client.poll_inbox(session) == []


def test_it_is_short() -> None:
    lines = AGENT.read_text(encoding="utf-8").splitlines()
    assert len(lines) - lines.index("with trunkline.Client(base_url=args.base_url) as client:") <= 10
