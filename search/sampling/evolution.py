"""A sampler that changes a few choices of one of the best trials.

Reference: Real et al., "Regularized Evolution for Image Classifier Architecture Search", 2019
(mutations of a winner among a few); Wu et al., "Frugal Optimization for Cost-related
Hyperparameters", 2021 (search near a known good start).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

from optuna import Study
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

# Share of the proposals that are random draws, which find what no good trial has.
RANDOM_SHARE = 0.2
# Share of the finished trials, the best ones, whose choices are changed; at least LEAST_PARENTS.
PARENT_SHARE = 0.2
LEAST_PARENTS = 3
# Probability of each change beyond the first.
FURTHER_CHANGE = 0.4
# Probability that the learning rate changes, too: the best one depends on every other choice.
RATE_CHANGE = 0.5
# Standard deviation of a changed number, as a share of its range, on its own scale.
STEP = 0.12
_RATE = "learning_rate"


@dataclass(frozen=True)
class _Plan:
    """What a proposal takes from a trial, and the parameters that it changes."""

    parent: FrozenTrial
    changed: frozenset[str]


class EvolutionSampler(BaseSampler):
    """Proposes one of the best trials with a few parameters changed, or a random draw.

    A number of a new arm lies where the parent's number of the same kind lies in its own range.

    Args:
        seed: Seed.
        startup: Number of finished trials before the first change of one.
    """

    def __init__(self, seed: int, startup: int) -> None:
        self._dice, self._startup = random.Random(seed), startup
        self._plans: dict[int, _Plan] = {}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Choose the parent of a proposal, and what is changed."""
        self._plans.clear()
        finished = [t for t in study.get_trials(deepcopy=False) if _finished(t)]
        if len(finished) < self._startup or self._dice.random() < RANDOM_SHARE:
            return
        best = sorted(finished, key=_rank)[: max(LEAST_PARENTS, int(PARENT_SHARE * len(finished)))]
        parent = self._dice.choice(best)
        self._plans[trial.number] = _Plan(parent, self._changed(parent))

    def _changed(self, parent: FrozenTrial) -> frozenset[str]:
        names = [name for name, domain in parent.distributions.items() if not domain.single()]
        found = {self._dice.choice(names)} if names else set()
        while names and self._dice.random() < FURTHER_CHANGE:
            found.add(self._dice.choice(names))
        if self._dice.random() < RATE_CHANGE:
            found |= {name for name in names if _kind(name) == _RATE}
        return frozenset(found)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return no parameters: each is decided when it is asked for."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the parent's value of a parameter, a changed one, or a random one."""
        plan = self._plans.get(trial.number)
        known = None if plan is None else inherited(plan.parent, param_name, param_distribution)
        if plan is None or known is None:
            return self._drawn(param_distribution)
        if param_name in plan.changed:
            return self._near(param_distribution, known)
        return known

    def _drawn(self, domain: BaseDistribution) -> Any:
        if isinstance(domain, CategoricalDistribution):
            return self._dice.choice(domain.choices)
        return at_place(domain, self._dice.random())

    def _near(self, domain: BaseDistribution, value: Any) -> Any:
        """Return another choice, or a number in the neighbourhood of one."""
        if isinstance(domain, CategoricalDistribution):
            others = [choice for choice in domain.choices if choice != value]
            return self._dice.choice(others) if others else value
        place = place_of(domain, value) + self._dice.gauss(0.0, STEP)
        moved = at_place(domain, min(1.0, max(0.0, place)))
        if moved == value and isinstance(domain, IntDistribution):
            return self._drawn(domain)
        return moved


def inherited(parent: FrozenTrial, name: str, domain: BaseDistribution) -> Any:
    """Return what a parameter takes from a trial; None if the trial has nothing like it.

    A number of another arm is moved to the same place in this one's range.
    """
    if name in parent.params:
        return parent.params[name] if parent.distributions[name] == domain else None
    if isinstance(domain, CategoricalDistribution):
        return None
    for other, known in parent.distributions.items():
        if _kind(other) == _kind(name) and type(known) is type(domain):
            return at_place(domain, place_of(known, parent.params[other]))
    return None


def place_of(domain: BaseDistribution, value: float) -> float:
    """Return the place of a number in its range, from 0 to 1, on the range's scale."""
    low, high = _ends(domain)
    scale = math.log if _log(domain) else float
    return (scale(value) - low) / (high - low) if high > low else 0.0


def at_place(domain: BaseDistribution, place: float) -> Any:
    """Return the number at a place of a range."""
    low, high = _ends(domain)
    value = low + place * (high - low)
    value = math.exp(value) if _log(domain) else value
    assert isinstance(domain, (FloatDistribution, IntDistribution))
    step = domain.step
    if step is not None and not _log(domain):
        value = domain.low + step * round((value - domain.low) / step)
    value = min(domain.high, max(domain.low, value))
    return round(value) if isinstance(domain, IntDistribution) else value


def _ends(domain: BaseDistribution) -> tuple[float, float]:
    assert isinstance(domain, (FloatDistribution, IntDistribution))
    if domain.log:
        return math.log(domain.low), math.log(domain.high)
    return float(domain.low), float(domain.high)


def _log(domain: BaseDistribution) -> bool:
    return isinstance(domain, (FloatDistribution, IntDistribution)) and domain.log


def _kind(name: str) -> str:
    """Return what a parameter is, whatever the arm: `learning_rate` of `learning_rate.adam`."""
    return name.partition(".")[0]


def _finished(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.COMPLETE and trial.value is not None and bool(trial.params)


def _rank(trial: FrozenTrial) -> tuple[float, float]:
    """Return the order of trials: those that keep their constraints first, then by value."""
    assert trial.value is not None
    return sum(max(0.0, gap) for gap in trial.constraints.values()), trial.value
