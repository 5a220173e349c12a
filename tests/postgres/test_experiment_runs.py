"""Runs of a designed experiment in the tables: their conditions and their measurement."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, Engine

from tests.support.studies import begun, completed
from trainstack.search.claims.experiment import Look
from trainstack.search.conditions import PLAIN, Condition
from trainstack.search.evidence.ablation import TUNING_INDEX
from trainstack.search.evidence.planned_run import Planned
from trainstack.search.payloads import MeasurementPayload
from trainstack.search.queue.queries import runs, trials
from trainstack.search.records import CONFIRMATION
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.workers.messages import job_of

pytestmark = pytest.mark.postgres


def test_a_condition_goes_with_the_run_and_parts_it_from_others(url: URL, database: Engine) -> None:
    """Equal stacks under two conditions are two runs; each lease and run has its condition."""
    here = begun(url, trials=0, experiment=("C26",), replicates=1)
    conditions = (PLAIN, Condition(labels=50))
    wanted = [Planned(CHAPTER_DEFAULT, None, 0, 7, condition) for condition in conditions]
    judge = here._judge
    judge.next_runs = lambda spec, runs: wanted if len(runs) < 2 else []  # type: ignore
    here.advance()
    seen = []
    for _ in wanted:
        lease = here.claim()
        assert lease is not None
        seen.append(job_of(here.spec, lease).condition)
        here.finish(lease, completed())
    assert set(seen) == {*conditions}
    found = runs(database, "s", CONFIRMATION)
    assert {run.condition for run in found} == {*conditions}
    assert len({run.stack_id for run in found}) == 2
    assert {row.stack_id for row in trials(database, "s", CONFIRMATION)} == {
        plan.stack_id for plan in wanted
    }


def test_what_tuned_a_learning_rate_is_not_measured(url: URL, database: Engine) -> None:
    """Only models of fresh seeds are measured on the test set, not those of the tuning."""
    here = begun(url, trials=0, experiment=("C17",), replicates=2)
    wanted = [Planned(CHAPTER_DEFAULT, None, j, 100 + j) for j in (TUNING_INDEX, 0, 1)]
    judge = here._judge
    judge.next_runs = lambda spec, runs: [] if runs else wanted  # type: ignore
    judge.choice = lambda spec, runs: Look(CHAPTER_DEFAULT)  # type: ignore
    here.advance()
    for _ in wanted:
        lease = here.claim()
        assert lease is not None
        here.finish(lease, completed())
    here.advance()
    last = here.claim()
    assert last is not None
    assert isinstance(last.payload, MeasurementPayload)
    assert sorted(last.payload.runs[CHAPTER_DEFAULT.stack_id]) == ["0", "1"]
