"""The time of a search, estimated from stacks that were trained for some steps.

A space's stacks differ in speed by factors of a hundred, and few are tried. So the tried ones only
say how many seconds a unit of *effort* takes; the mean effort is that of many random draws.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from trainstack.search.preview import Tried, between
from trainstack.search.spec import StudySpec
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

# Random stacks whose mean effort counts.
DRAWS = 1000
# Cost of a step by weight, and by weight and row, where the calls of a step cost 1. Assumed are
# 1.2 ns, six operations at 60 GFLOP/s, and 0.2 ms; only ratios matter, the tried stacks give the
# scale.
UPDATE, PRODUCTS = 6e-6, 5e-7


class _Random:
    """A trial whose suggestions are random."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number of a range, uniform on its scale."""
        return between(low, high, self._random.random(), log)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return a whole number of a range, both ends included."""
        return min(high, max(low, round(self.suggest_float(name, low, high, log=log))))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""
        return self._random.choice(choices)


def effort(stack: Stack, inputs: int, outputs: int) -> float:
    """Return the time of an epoch by a stack's sizes, in a unit that is common to a data set.

    Args:
        stack: The stack.
        inputs: Number of the network's inputs.
        outputs: Number of its outputs.

    >>> wide, slim = Stack.of(units=[512, 512]), Stack.of(units=[16])
    >>> effort(wide, 8, 2) > 5 * effort(slim, 8, 2)
    True
    """
    weights = _weights(stack, inputs, outputs)
    return (1 + UPDATE * weights) / stack["batch_size"] + PRODUCTS * weights


def _weights(stack: Stack, inputs: int, outputs: int) -> int:
    one = sum(a * b for a, b in pairwise((inputs, *stack.units, outputs)))
    return one * stack.get("members.count", 1)


def trial_seconds(tried: Sequence[Tried], spec: StudySpec) -> float:
    """Return the mean seconds of a trial of full length.

    Given stacks are those of the search, and of a user's own network the sizes are not known; so
    their mean counts. Draws larger than all that can be trained do not count.

    Args:
        tried: Results, at least one without a cause.
        spec: Spec of the study.
    """
    can = [t for t in tried if not t.cause]
    usual = [t for t in can if t.sample.typical] or can
    folds, space = spec.folds * spec.repeats, Space.from_json(dict(spec.space))
    build = fmean(t.build_seconds for t in usual)
    if spec.stacks or space.network:
        epochs = [t.sample.stack.planned_epochs(spec.epochs) * t.epoch_seconds for t in usual]
        return build + folds * fmean(epochs)
    sizes = spec.data.features, spec.data.outputs
    pace = sum(t.epoch_seconds for t in can) / sum(effort(t.sample.stack, *sizes) for t in can)
    most = max(_weights(t.sample.stack, *sizes) for t in can)
    drawn = [space.draw(_Random(seed)) for seed in range(DRAWS)]
    drawn = [s for s in drawn if _weights(s, *sizes) <= most] or [t.sample.stack for t in can]
    mean = fmean(s.planned_epochs(spec.epochs) * effort(s, *sizes) for s in drawn)
    return build + folds * pace * mean
