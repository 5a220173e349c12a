"""The estimated time of a trial: that of given stacks, or of the space's random ones."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import optuna
import pytest

from tests.support.studies import spec_of
from trainstack.search.preview import Sample, Tried, covering
from trainstack.search.preview_time import effort, trial_seconds
from trainstack.spaces.space import Space, space_names
from trainstack.spaces.stack import Stack

PACE, BUILD, EPOCHS = 0.25, 2.0, 12


def test_given_stacks_take_the_mean_of_those_that_work() -> None:
    """Build and epochs count; a stack that cannot be trained does not, nor the largest ones."""
    usual = Sample(Stack.of())
    large = replace(usual, typical=False)
    spec = spec_of(stacks=(usual.stack,), epochs=10)
    tried = [Tried(usual, "", 1.0, 0.5), Tried(usual, "no", 9.0, 9.0), Tried(large, "", 5.0, 5.0)]
    assert trial_seconds(tried, spec) == 6.0
    assert trial_seconds(tried[1:], spec) == 55.0


def test_a_trial_on_folds_takes_as_many_trainings() -> None:
    """The program is built once, and each fold is trained for the whole plan."""
    usual = Sample(Stack.of())
    tried = [Tried(usual, build_seconds=3.0, epoch_seconds=0.5)]
    for folds in (1, 4):
        spec = spec_of(stacks=(usual.stack,), epochs=10, folds=folds)
        assert trial_seconds(tried, spec) == 3.0 + folds * 10 * 0.5


@pytest.mark.parametrize("name", space_names())
def test_the_time_is_that_of_stacks_that_a_sampler_draws(name: str) -> None:
    """Where time is proportional to effort, the estimate is the mean time of Optuna's draws."""
    space = Space.named(name)
    spec = replace(spec_of(epochs=EPOCHS), space=space.to_json())
    sizes = spec.data.features, spec.data.outputs
    tried = [
        Tried(sample, "", BUILD, PACE * effort(sample.stack, *sizes)) for sample in covering(space)
    ]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [space.draw(study.ask()) for _ in range(600)]
    truth = fmean(s.planned_epochs(EPOCHS) * PACE * effort(s, *sizes) for s in drawn)
    assert trial_seconds(tried, spec) == pytest.approx(BUILD + truth, rel=0.2)


def test_effort_grows_with_every_size() -> None:
    """Wider, deeper, more networks, and smaller batches take longer for an epoch."""
    base = Stack.of(units=[64], batch_size=64)
    more = [
        base.but(units=[128]),
        base.but(units=[64, 64]),
        base.but(batch_size=32),
        base.but(members="independent", members__count=4),
    ]
    assert all(effort(stack, 8, 2) > effort(base, 8, 2) for stack in more)
