"""Every server of the bus, held against one table."""

from __future__ import annotations

import uuid

import pytest

from bus.cases import BETTER, CASES, EXACT, Case
from bus.handoff_cases import BETTER_HANDOFFS, HANDOFFS
from bus.wire import Wire, play


def name(case: Case) -> str:
    return case.name.replace(" ", "-")


@pytest.mark.parametrize("case", [*CASES, *HANDOFFS], ids=name)
def test_it_answers_as_the_original_does(wire: Wire, case: Case) -> None:
    play(wire, case, f"n{uuid.uuid4().hex}")
    assert wire.ask('{"op": "ping"}') == {"ok": True, "pong": True}


@pytest.mark.parametrize("case", EXACT, ids=name)
def test_it_writes_as_the_original_does(wire: Wire, case: Case) -> None:
    play(wire, case, f"n{uuid.uuid4().hex}", exact=True)


@pytest.mark.parametrize("case", [*BETTER, *BETTER_HANDOFFS], ids=name)
def test_it_does_what_the_original_does_not(wire: Wire, case: Case) -> None:
    play(wire, case, f"n{uuid.uuid4().hex}")
    assert wire.ask('{"op": "ping"}') == {"ok": True, "pong": True}


def test_no_two_cases_have_one_name() -> None:
    names = [case.name for case in (*CASES, *HANDOFFS, *EXACT, *BETTER, *BETTER_HANDOFFS)]
    assert sorted(names) == sorted(set(names))
