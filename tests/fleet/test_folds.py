"""Workers that die or leave in the middle of a trial on folds."""

from __future__ import annotations

from statistics import fmean

import pytest

from tests.support.fleet import PATIENCE_SECONDS, Fleet
from trainstack.search.queue import history, queries
from trainstack.search.records import CONFIRMATION

pytestmark = [pytest.mark.fleet, pytest.mark.postgres]
EPOCHS, FOLDS = 4, 5


def in_later_folds(fleet: Fleet) -> int:
    """Wait until a trial has trained its first folds, and return its number."""
    number: int = fleet.training()["number"]
    fleet.until(lambda _: len(fleet.trials()[number]["curve"]) == EPOCHS)
    return number


def endings(fleet: Fleet, number: int) -> list[str | None]:
    """Return how each attempt at a trial ended."""
    return [attempt.ending for attempt in history.attempts_at(fleet.engine, "s", number)]


def test_another_worker_finishes_the_folds_of_a_killed_one(fleet: Fleet) -> None:
    """After kill -9 within the later folds the trial is trained again; the budget is exact."""
    fleet.create(trials=2, epochs=EPOCHS, folds=FOLDS)
    first = fleet.join(hold_folds=str(fleet.folder / "never"))
    number = in_later_folds(fleet)
    first.kill()
    first.wait(PATIENCE_SECONDS)
    fleet.join()
    counts = fleet.concluded()["counts"]
    assert (counts["completed"], counts["pruned"], counts["retried"]) == (2, 0, 1)
    trials = fleet.trials()
    assert trials[number]["attempt"] == 2
    assert endings(fleet, number)[-1] == "completed"
    for trial in trials:
        assert len(trial["folds"]) == FOLDS
        assert trial["value"] == pytest.approx(fmean(trial["folds"]))


def test_a_drained_worker_gives_a_trial_on_folds_back(fleet: Fleet) -> None:
    """Asked to leave within the later folds, it gives the trial back without a strike."""
    fleet.create(trials=1, epochs=EPOCHS, folds=FOLDS)
    worker = fleet.join("--drain-timeout=1", hold_folds=str(fleet.folder / "never"))
    number = in_later_folds(fleet)
    worker.terminate()
    assert worker.wait(PATIENCE_SECONDS) == 0
    counts = fleet.status()["counts"]
    assert (counts["waiting"], counts["running"], counts["completed"]) == (1, 0, 0)
    assert endings(fleet, number) == ["given back"]


def test_runs_of_a_pair_have_the_same_fold_and_optuna_the_values(fleet: Fleet) -> None:
    """Confirmation runs of equal index have one split; Optuna's copy has each fold's objective."""
    fleet.create(trials=2, epochs=EPOCHS, folds=3, replicates=4)
    fleet.join()
    fleet.concluded()
    splits: dict[int, set[tuple[float, float]]] = {}
    for run in queries.runs(fleet.engine, "s", CONFIRMATION):
        split = run.metrics["split_seed"], run.metrics["fold"]
        splits.setdefault(run.seed_index, set()).add(split)
    assert [len(splits[index]) for index in range(4)] == [1] * 4
    found = [split for index in range(4) for split in splits[index]]
    assert [fold for _, fold in found] == [0, 1, 2, 0]
    assert found[0][0] == found[2][0] != found[3][0]
    trained = {trial["number"]: trial["folds"] for trial in fleet.trials()}
    assert {t.number: t.user_attrs["folds"] for t in fleet.optuna().trials} == trained
