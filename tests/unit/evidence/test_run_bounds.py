"""The most runs of a confirmation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.made_up_status import NONE, status
from tests.support.planted_study import Planted, finished_study, made_up_spec
from trainstack.search.cli.live_view import line_of
from trainstack.search.evidence.run_bounds import most_runs
from trainstack.search.records import CONFIRMATION, Phase


@pytest.mark.parametrize("shared", [0.0, 0.8])
@pytest.mark.parametrize("most", [5, 12])
def test_no_confirmation_takes_more(shared: float, most: int) -> None:
    """Whatever happens in race, further seeds and ablations, the runs stay within the bound."""
    asked = {"most_replicates": most, "confirm_seconds": 1e9, "space": None}
    spec, runs = finished_study(Planted(shared=shared), **asked)
    assert 25 <= sum(r.phase == CONFIRMATION for r in runs) <= most_runs(spec)


def test_the_bound_counts_what_may_be_trained() -> None:
    """Five stacks with five seeds; four of them with seven more; no axis to ablate."""
    spec = made_up_spec(space={"axes": {}})
    assert most_runs(spec) == 25
    assert most_runs(replace(spec, most_replicates=12)) == 25 + 4 * 7
    assert most_runs(replace(spec, trials=1, most_replicates=12)) == 10 + 2 * 7
    assert most_runs(replace(spec, replicates=0, most_replicates=12)) == 0


def test_progress_says_what_is_certain_and_what_is_possible() -> None:
    """While it confirms, a study shows the most runs beside those planned, then no more."""
    counts = {**NONE, "completed": 8, "running": 2, "waiting": 5}
    going = status(
        state="confirming",
        phase=Phase.CONFIRMING,
        confirmation=counts,
        confirmation_at_most=53,
    )
    assert "8 of 15 to 53 runs" in line_of(going)
    over = replace(going, state="concluded", phase=Phase.CONCLUDED, concluded=True)
    assert "8 of 15 runs" in line_of(over)
