"""A replayed search spends the recorded seconds, and prunes as the product's rule does."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.atlas.records import runs
from benchmarks.atlas.simulation import Trial, chosen, search
from benchmarks.stopping import replay
from trainstack.search.sampling.pruning import PRUNERS
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES

PLANNED = 12
STACKS = [CHAPTER_DEFAULT, *REFERENCES.values()]


def trial(number: int, curve: list[float], epoch_seconds: float = 1.0) -> Trial:
    """Return a trial named by its number."""
    stack = STACKS[number % len(STACKS)]
    return Trial(str(number), stack, PLANNED, tuple(curve), 0.5, epoch_seconds)


curves = st.lists(st.floats(0.1, 5.0), min_size=PLANNED, max_size=PLANNED)
trials = st.lists(st.tuples(curves, st.floats(0.1, 3.0)), min_size=1, max_size=25).map(
    lambda drawn: [trial(k, curve, seconds) for k, (curve, seconds) in enumerate(drawn)]
)


@given(trials, st.sampled_from([*PRUNERS]), st.integers(1, 4))
def test_every_trial_ends_once_in_the_order_of_time(
    given_trials: list[Trial], pruner: str, workers: int
) -> None:
    """Each trial ends once; workers are never busier than possible, nor idle before the end."""
    found = search(given_trials, PRUNERS[pruner], workers)
    assert sorted(e.trial.name for e in found) == sorted(t.name for t in given_trials)
    times = [e.at for e in found]
    assert times == sorted(times)
    most = sum(t.seconds for t in given_trials)
    longest = max(t.seconds for t in given_trials)
    assert times[-1] <= most / workers + longest + 1e-9
    if pruner == "none":
        assert not any(e.pruned for e in found)
        assert times[-1] >= most / workers - 1e-9


@given(trials, st.sampled_from(["asha", "median"]))
def test_one_worker_prunes_as_trials_in_turn(given_trials: list[Trial], pruner: str) -> None:
    """With one worker the pruned trials are those of the replay that goes trial by trial."""
    recorded = [
        {"stack": t.stack.but(stopping="none"), "epochs": t.planned, "valid": list(t.curve)}
        for t in given_trials
    ]
    gone, _ = replay(recorded, PRUNERS[pruner], fair=True)
    found = search(given_trials, PRUNERS[pruner], workers=1)
    assert {int(e.trial.name) for e in found if e.pruned} == gone


def test_kept_stacks_are_never_pruned() -> None:
    """A stack that is kept runs to its end, however bad; without that it is pruned."""
    good = [trial(0, [1.0] * PLANNED) for _ in range(6)]
    bad = replace(good[0], name="bad", curve=(9.0,) * PLANNED)
    assert search([*good, bad], PRUNERS["asha"], 1)[-1].pruned
    assert not search([*good, bad], PRUNERS["asha"], 1, kept=["bad"])[-1].pruned


def test_the_choice_is_the_least_loss_of_what_has_finished() -> None:
    """A trial counts from the time at which it ends; before the first there is no choice."""
    slow = trial(0, [0.1] * PLANNED, epoch_seconds=2.0)
    quick = trial(1, [0.2] * PLANNED, epoch_seconds=1.0)
    found = search([slow, quick], PRUNERS["none"], workers=2)
    assert chosen(found, 12.0) is None
    assert chosen(found, 12.5) is quick
    assert chosen(found, 24.5) is slow


def test_a_recorded_run_costs_what_it_cost() -> None:
    """Recorded runs that ran to their end cost their seconds, and have their best loss."""
    whole = [run for run in runs() if run.finished and run.stack["stopping"] == "none"][:40]
    assert whole
    for run in whole:
        found = Trial.of(run)
        assert found.seconds == pytest.approx(sum(run.seconds))
        assert found.loss == min(math.inf if loss is None else loss for loss in run.loss)
