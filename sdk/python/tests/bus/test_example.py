"""The example, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bus.wire import PATIENCE

EXAMPLE = Path(__file__).parents[2] / "examples" / "bus.py"


@pytest.mark.usefixtures("handoffs")
@pytest.mark.parametrize("remote", [False, True])
def test_the_example_hands_work_over(server: tuple[str, int], remote: bool) -> None:
    more = ["--connect", "{}:{}".format(*server)] if remote else []
    command = [sys.executable, str(EXAMPLE), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    said = "planner hands over 1.4: write the notes\nthe work is completed and the plan is the writer's: ['plan']\n"
    assert (done.stdout, done.stderr, done.returncode) == (said, "", 0)
