"""The sampler that changes a few choices of one of the best trials."""

from __future__ import annotations

import math
import random
from statistics import fmean
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FixedTrial, FrozenTrial, create_trial

from trainstack.search.sampling import evolution
from trainstack.search.sampling.evolution import EvolutionSampler, at_place, inherited, place_of
from trainstack.spaces.references import first_stacks
from trainstack.spaces.space import Space

MODERN = Space.named("modern")
FIRST = [
    parameters
    for _, stack in first_stacks(MODERN, "regression", 5000)
    if (parameters := MODERN.encode(stack)) is not None
]
# Proposals that change a trial have more of its parameters than random draws do.
NEAR = 0.35


def known(parameters: dict[str, Any], value: float, **constraints: float) -> FrozenTrial:
    """Return a finished trial of the space `modern`."""
    drawn = FixedTrial(parameters)
    MODERN.draw(drawn)
    trial = create_trial(params=drawn.params, distributions=drawn.distributions, value=value)
    for name, gap in constraints.items():
        trial.set_constraint(name, gap)
    return trial


def study_of(sampler: BaseSampler, *trials: FrozenTrial) -> optuna.Study:
    """Return a study in memory with some finished trials."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=sampler)
    study.add_trials(trials)
    return study


def distance(trial: FrozenTrial | dict[str, Any], parameters: dict[str, Any]) -> float:
    """Return the share of parameters that a trial does not have in common with a proposal."""
    known = trial if isinstance(trial, dict) else trial.params
    names = known.keys() | parameters.keys()
    return sum(known.get(name) != parameters.get(name) for name in names) / len(names)


def proposals(study: optuna.Study, number: int) -> list[dict[str, Any]]:
    """Return the parameters of proposals, none of which enters the history."""
    found = []
    for _ in range(number):
        trial = study.ask()
        MODERN.draw(trial)
        found.append(trial.params)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return found


@given(st.integers(0, 10_000), st.integers(2, len(FIRST)))
def test_a_proposal_is_a_stack_of_the_space(seed: int, startup: int) -> None:
    """Whatever a proposal changes, it is a stack that the space holds."""
    trials = [known(parameters, float(place)) for place, parameters in enumerate(FIRST)]
    study = study_of(EvolutionSampler(seed, startup), *trials)
    trial = study.ask()
    assert MODERN.encode(MODERN.draw(trial)) is not None


def test_most_proposals_are_near_the_best() -> None:
    """Four of five proposals have most parameters of one of the best trials, but not all."""
    trials = [known(parameters, float(place)) for place, parameters in enumerate(FIRST)]
    study = study_of(EvolutionSampler(1, startup=5), *trials)
    gaps = [min(distance(t, p) for t in trials[:3]) for p in proposals(study, 200)]
    assert 0.7 < sum(gap < NEAR for gap in gaps) / len(gaps) < 0.9
    assert sum(gap == 0.0 for gap in gaps) < 0.1 * len(gaps)


def test_proposals_are_random_before_enough_trials_have_finished() -> None:
    """With fewer finished trials than the start asks for, every proposal is a random draw."""
    study = study_of(EvolutionSampler(1, startup=5), *[known(p, 0.0) for p in FIRST[:4]])
    gaps = [min(distance(t, p) for t in FIRST[:4]) for p in proposals(study, 30)]
    assert min(gaps) > NEAR


def test_a_trial_that_violates_a_constraint_is_no_parent() -> None:
    """The best value of a trial that violates a constraint does not make it a parent."""
    kept = [known(FIRST[0], 1.0 + k, size=-1.0) for k in range(3)]
    study = study_of(EvolutionSampler(1, startup=2), known(FIRST[1], 0.0, size=2.0), *kept)
    assert min(distance(FIRST[1], p) for p in proposals(study, 50)) > NEAR


@pytest.mark.parametrize(
    ("domain", "value", "place"),
    [
        (FloatDistribution(0.01, 1.0, log=True), 0.1, 0.5),
        (FloatDistribution(2.0, 4.0), 2.5, 0.25),
        (FloatDistribution(0.0, 1.0, step=0.25), 0.75, 0.75),
        (IntDistribution(1, 5), 4, 0.75),
        (IntDistribution(1, 256, log=True), 16, 0.5),
    ],
)
def test_a_number_has_a_place_in_its_range(
    domain: BaseDistribution, value: float, place: float
) -> None:
    """A number's place counts on the scale of its range, and leads back to the number."""
    assert place_of(domain, value) == pytest.approx(place)
    assert at_place(domain, place) == pytest.approx(value)
    assert type(at_place(domain, place)) is type(value)


def test_a_number_moves_to_the_same_place_in_another_arms_range() -> None:
    """The learning rate of another optimizer lies where the parent's lies in its own range."""
    adam = FloatDistribution(1e-4, 1e-2, log=True)
    parent = create_trial(
        params={"optimizer": "adam", "learning_rate.adam": 1e-3},
        distributions={
            "optimizer": CategoricalDistribution(("adam", "sgd")),
            "learning_rate.adam": adam,
        },
        value=0.0,
    )
    sgd = FloatDistribution(1e-2, 1.0, log=True)
    assert inherited(parent, "learning_rate.sgd", sgd) == pytest.approx(0.1)
    assert inherited(parent, "learning_rate.adam", adam) == 1e-3
    assert inherited(parent, "momentum.sgd", FloatDistribution(0.5, 0.9)) is None
    assert inherited(parent, "activation", CategoricalDistribution(("relu", "elu"))) is None


def planted(seed: int, parameters: dict[str, Any]) -> float:
    """Return a loss with an effect of each choice; most of FIRST[1]'s cannot be improved."""

    def dice(*key: object) -> random.Random:
        return random.Random(f"{seed} {key}")

    total = 0.0
    for name, value in parameters.items():
        if name.startswith("learning_rate"):
            total += 0.05 * abs(math.log(value) - math.log(0.02))
        elif FIRST[1].get(name) != value:
            total += dice(name, value).uniform(-0.03, 0.1)
    return total


def searched(sampler: BaseSampler, seed: int) -> float:
    """Return the least planted loss that a search of forty trials finds."""
    first = [known(parameters, planted(seed, parameters)) for parameters in FIRST]
    study = study_of(sampler, *first)
    for _ in range(34):
        trial = study.ask()
        MODERN.draw(trial)
        study.tell(trial, planted(seed, trial.params))
    return study.best_value


def test_it_improves_on_a_good_start_more_than_random_draws() -> None:
    """If one of the first trials is good, forty trials end lower than with random draws."""
    seeds = range(20)
    evolved = [searched(EvolutionSampler(seed, startup=5), seed) for seed in seeds]
    drawn = [searched(RandomSampler(seed), seed) for seed in seeds]
    assert fmean(evolved) < 0.6 * fmean(drawn)


def test_the_shares_are_probabilities() -> None:
    """Every share of the sampler lies between 0 and 1."""
    shares = (
        evolution.RANDOM_SHARE,
        evolution.PARENT_SHARE,
        evolution.FURTHER_CHANGE,
        evolution.RATE_CHANGE,
    )
    assert all(0.0 < share < 1.0 for share in shares)
