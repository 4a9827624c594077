"""Every server of the bus, held against one table."""

from __future__ import annotations

import pytest

from bus.cases import BETTER, CASES, EXACT, PECULIAR, Case
from bus.handoff_cases import BETTER_HANDOFFS, HANDOFFS
from bus.wire import Player, Wire

PONG = {"ok": True, "pong": True}


def name(case: Case) -> str:
    return case.name.replace(" ", "-")


@pytest.mark.parametrize("case", CASES, ids=name)
def test_it_answers_as_the_original_does(player: Player, wire: Wire, case: Case) -> None:
    player.play(case)
    assert wire.op("ping") == PONG


@pytest.mark.usefixtures("handoffs")
@pytest.mark.parametrize("case", HANDOFFS, ids=name)
def test_it_keeps_handoffs_as_the_original_does(player: Player, wire: Wire, case: Case) -> None:
    player.play(case)
    assert wire.op("ping") == PONG


@pytest.mark.parametrize("case", EXACT, ids=name)
def test_it_writes_as_the_original_does(player: Player, case: Case) -> None:
    player.play(case, exact=True)


@pytest.mark.parametrize("case", BETTER, ids=name)
def test_it_does_what_the_original_does_not(player: Player, wire: Wire, case: Case) -> None:
    player.play(case)
    assert wire.op("ping") == PONG


@pytest.mark.usefixtures("handoffs")
@pytest.mark.parametrize("case", BETTER_HANDOFFS, ids=name)
def test_it_keeps_handoffs_better(player: Player, wire: Wire, case: Case) -> None:
    player.play(case)
    assert wire.op("ping") == PONG


@pytest.mark.parametrize("kind", ["python", "file"])
@pytest.mark.parametrize("case", PECULIAR, ids=name)
def test_it_is_as_peculiar_as_python(player: Player, case: Case) -> None:
    player.play(case)


def test_no_two_cases_have_one_name() -> None:
    names = [case.name for case in (*CASES, *HANDOFFS, *EXACT, *BETTER, *BETTER_HANDOFFS, *PECULIAR)]
    assert sorted(names) == sorted(set(names))
