"""From what the models beside the single network are trained."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from trainstack.search.payloads import ConfirmationPayload, PoolMember, Refit, SearchPayload
from trainstack.search.queue.further_models import (
    MOST_AVERAGED,
    MOST_CANDIDATES,
    further_models,
    networks,
    pool,
    refits,
)
from trainstack.search.queue.rows import TaskRow
from trainstack.search.records import CONFIRMATION, SEARCH, Outcome, Status
from trainstack.spaces.stack import Stack

STACK, OTHER = Stack.of(units=[8]), Stack.of(units=[9])
NOW = datetime(2025, 1, 1, tzinfo=timezone.utc)


def row(kind: Any, index: int, **changes: Any) -> TaskRow:
    """A finished task with kept predictions."""
    stack = changes.get("stack", STACK)
    values: dict[str, Any] = {
        **{"task_id": index, "study_id": 1, "kind": kind, "status": Status.DONE},
        **{"outcome": Outcome.COMPLETED, "cause": None, "stack": stack},
        **{"stack_id": stack.stack_id, "label": None, "seed": 100 + index},
        "seed_index": index if kind == CONFIRMATION else -1,
        "payload": ConfirmationPayload() if kind == CONFIRMATION else SearchPayload(),
        **{"number": index, "exported": False, "token": None, "lease_until": None},
        **{"worker_id": None, "avoided_worker": None, "attempts": 1, "strikes": 0},
        **{"value": 0.5 + index / 100, "best_epoch": 4 + index, "curve": (), "train_curve": ()},
        **{"metrics": {}, "seconds": {}, "artifacts": {"predictions": f"{kind}-{index}"}},
        **{"found": {}, "cached_of": None, "created_at": NOW, "claimed_at": None},
        "finished_at": None,
    }
    return TaskRow(**{**values, **changes})


def test_a_refit_has_the_median_length_and_each_runs_seed() -> None:
    """Of best epochs 9, 4 and 7 it is 7, with the rates that that run lowered."""
    lengths = ((9, {}), (4, {}), (7, {"lowered_after": [3]}))
    runs = [row(CONFIRMATION, k, best_epoch=n, found=f) for k, (n, f) in enumerate(lengths)]
    assert refits(runs) == tuple(Refit(100 + k, 7, (3,)) for k in range(3))


def test_the_average_is_bounded() -> None:
    """Of nine confirmed seeds the first five are trained again."""
    found = refits([row(CONFIRMATION, k) for k in range(9)])
    assert [refit.seed for refit in found] == [100 + k for k in range(MOST_AVERAGED)]
    assert refits([]) == ()


def test_networks_that_every_ensemble_has_are_trained_once_each() -> None:
    """They are those of the better half of its candidates, and the recommended stack's."""
    mine = [Refit(1, 4), Refit(2, 4)]
    members = [(OTHER, Refit(7, 3)), (STACK, mine[1]), (OTHER, Refit(8, 5))]
    candidates = [PoolMember(stack, refit, ("p",)) for stack, refit in members]
    assert networks(STACK, mine, candidates) == (members[0], members[1], (STACK, mine[0]))
    assert networks(STACK, (), ()) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": Outcome.PRUNED},
        {"outcome": Outcome.VOIDED},
        {"artifacts": {}},
        {"value": None},
        {"best_epoch": 0},
    ],
)
def test_only_finished_runs_with_predictions_are_candidates(changes: dict[str, Any]) -> None:
    """A pruned or voided trial, or one without kept predictions, cannot be in the ensemble."""
    spec = {"replicates": 1, "folds": 1}
    assert pool(spec, [row(SEARCH, 1, **changes)]) == ()
    assert pool(spec, [row(SEARCH, 1)]) == (PoolMember(STACK, Refit(101, 5), ("search-1",)),)


def test_without_folds_the_confirmation_has_no_candidates() -> None:
    """Its runs predict other rows; however good, they take no search trial's place."""
    runs = [row(CONFIRMATION, k, value=0.1) for k in range(MOST_CANDIDATES)]
    found = pool({"replicates": MOST_CANDIDATES, "folds": 1}, [*runs, row(SEARCH, 1)])
    assert [member.predictions for member in found] == [("search-1",)]


def test_the_runs_of_a_division_are_one_candidate() -> None:
    """With three folds, runs 0 to 2 of a stack count together; runs 3 and 4 miss a fold."""
    runs = [row(CONFIRMATION, k) for k in range(5)]
    (found,) = pool({"replicates": 5, "folds": 3}, runs)
    assert found.predictions == ("confirmation-0", "confirmation-1", "confirmation-2")
    assert found.refit == Refit(100, 5)


def test_candidates_are_those_of_the_lowest_objective() -> None:
    """They come in order, and no more than the bound."""
    rows = [row(SEARCH, k, value=1.0 - k / 1000) for k in range(MOST_CANDIDATES + 7)]
    found = pool({"replicates": 0, "folds": 1}, rows)
    last = MOST_CANDIDATES + 6
    assert [m.refit.seed for m in found] == [100 + last - k for k in range(MOST_CANDIDATES)]


@pytest.mark.parametrize("spec", [{"models": False}, {"experiment": ["C1"]}])
def test_they_can_be_left_out(spec: dict[str, Any]) -> None:
    """`--no-models`, or an experiment for claims, trains nothing further."""
    runs = [row(CONFIRMATION, 0), row(SEARCH, 1, stack=OTHER)]
    usual = {"replicates": 1, "folds": 1}
    assert further_models({**usual, **spec}, STACK, runs[:1], runs) == ((), ())
    assert [len(part) for part in further_models(usual, STACK, runs[:1], runs)] == [1, 1]
