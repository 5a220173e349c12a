"""The stacks recorded on every data set: references, variants, and points of two spaces."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from scipy.stats import qmc

from trainstack.spaces.portfolio import MEASURED_DEFAULT, suited
from trainstack.spaces.references import REFERENCES, reference
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

# Factors on the learning rate at which each variant is recorded.
RATES = (0.4, 1.0, 2.5)

# One change each to RealMLP's small form with a batch size suited to the rows: the choices that it
# has beyond the chapter are taken back one at a time, and others are added.
VARIANTS: dict[str, Mapping[str, Any]] = {
    "same": {},
    "preparation=standard": {"preparation": "standard"},
    "preparation=quantile": {"preparation": "quantile"},
    "embedding=periodic": {"embedding": "periodic"},
    "label_smoothing": {},  # none instead of 0.1, or the reverse
    "dropout=hidden": {"dropout": "hidden", "dropout__rate": 0.15},
    "dropout=hidden,no smoothing": {
        **{"dropout": "hidden", "dropout__rate": 0.3, "label_smoothing": 0.0}
    },
    "averaging=exponential": {"averaging": "exponential"},
    "plan_fraction=0.5": {"plan_fraction": 0.5},
    "embedding=piecewise": {"embedding": "piecewise"},
    "decay=decoupled": {"decay": "decoupled", "decay__weight_decay": 0.02},
    "schedule=flat_cosine": {"schedule": "flat_cosine"},
    "beta_2=0.999": {"optimizer__beta_2": 0.999},
    "schedule=constant": {"schedule": "constant"},
    "schedule=cosine": {"schedule": "cosine"},
    "input_scale=none": {"input_scale": "none"},
    "parametrization=standard": {"parametrization": "standard"},
    "bias=zeros": {"bias": "zeros"},
    "bias=data,calibration": {"bias": "data", "calibration": "weights"},
    "bias_rate=1": {"bias_rate": 1.0},
    "head=glorot": {"head": "glorot"},
    "averaging=last": {"averaging": "last"},
    "activation=relu": {"activation": "relu", "initializer": "he_normal"},
    "activation=mish|selu": {},  # the one that the form for this task does not have
    "normalization=before": {"normalization": "before", "bias": "zeros"},
    "members=shared": {"members": "shared", "members__count": 8},
    "units=512x3": {"units": [512, 512, 512]},
    "units=128x2": {"units": [128, 128]},
}

# What the form of a task became by the choices above: averaged weights, no label smoothing, and in
# a regression piecewise linear embeddings. One further change each.
AVERAGED: Mapping[str, Mapping[str, Any]] = {
    "classification": {"averaging": "exponential", "label_smoothing": 0.0},
    "regression": {"averaging": "exponential", "embedding": "piecewise"},
}
FURTHER: dict[str, Mapping[str, Any]] = {
    "same": {},
    "embedding=piecewise": {"embedding": "piecewise"},
    "dropout=hidden": {"dropout": "hidden", "dropout__rate": 0.15},
    "decay=decoupled": {"decay": "decoupled", "decay__weight_decay": 0.02},
    "plan_fraction=0.5": {"plan_fraction": 0.5},
    "preparation=standard": {"preparation": "standard"},
    "units=128x2": {"units": [128, 128]},
    "units=512x3": {"units": [512, 512, 512]},
    "members=shared": {"members": "shared", "members__count": 8},
}

# Rate of a stack without the NTK parametrization, relative to that with it.
_STANDARD_RATE = 0.1

# References that are not recorded: 32 members of three layers of 512 take hours on a CPU, and the
# measured default is one of the other stacks.
NOT_RECORDED = ("tabm-mini", MEASURED_DEFAULT)

# Points that are drawn; the first of them are recorded first.
POINTS = 512


@dataclass(frozen=True)
class Named:
    """A stack on one data set, and the name that it has on all of them."""

    name: str
    stack: Stack


class _Point:
    """A point of the unit cube with a coordinate for each parameter's name, read as a trial."""

    def __init__(self, coordinates: Mapping[str, float]) -> None:
        self.coordinates = coordinates

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return the number at the coordinate's share of the range."""
        share = self.coordinates[name]
        if log:
            return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        return low + share * (high - low)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return the whole number at the coordinate's share of the range."""
        return int(min(high, low + math.floor(self.coordinates[name] * (high - low + 1))))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return the choice at the coordinate's share of the list."""
        return choices[min(len(choices) - 1, int(self.coordinates[name] * len(choices)))]


def parameter_names(space: Space) -> list[str]:
    """Return the names of all parameters that a draw from a space can ask for, sorted."""
    names = set(space.arms) | set(space.numbers)
    for arms in space.arms.values():
        for arm, parameters in arms.items():
            names |= {f"{name}.{arm}" for name in parameters}
    return sorted(names)


@cache
def points(name: str) -> tuple[Stack, ...]:
    """Return the stacks at the points of a Latin hypercube in a named space.

    Every parameter has a coordinate of its own, whose POINTS values are evenly spread (McKay et al.
    1979). The points are in random order, so that the first of them fill the space as well.
    """
    space = Space.named(name)
    names = parameter_names(space)
    cube = qmc.LatinHypercube(len(names), rng=len(names)).random(POINTS)
    return tuple(space.draw(_Point(dict(zip(names, row, strict=True)))) for row in cube)


def fitted(stack: Stack, rows: int, task: str) -> Stack:
    """Return a stack as the search would start with it on a data set.

    Its batch size suits the rows, and a regression has no labels to smooth.
    """
    stack = suited(stack, rows, numbers=1)  # embeddings are recorded on every table
    return stack.but(label_smoothing=0.0) if task == "regression" else stack


def variant(name: str, task: str) -> Stack | None:
    """Return a variant of RealMLP's small form for a task; None if it has no effect there."""
    base = reference("realmlp-td-s", task)
    changes = dict(VARIANTS[name])
    if name == "label_smoothing":
        changes = {"label_smoothing": 0.0}
    if task == "regression" and name == "label_smoothing":  # it has no labels
        return None
    if name == "activation=mish|selu":
        changes = {"activation": "mish" if base["activation"] == "selu" else "selu"}
    if name == "parametrization=standard":
        changes["optimizer__learning_rate"] = _STANDARD_RATE * base["optimizer.learning_rate"]
    return base.but(**changes)


def variants(task: str) -> Iterator[tuple[str, Stack]]:
    """Yield the variants of RealMLP's form for a task, then those of the averaged, by name."""
    for name in VARIANTS:
        if (stack := variant(name, task)) is not None:
            yield f"realmlp/{name}", stack
    form = "regression" if task == "regression" else "classification"
    base = reference("realmlp-td-s", task).but(**AVERAGED[form])
    for name, changes in FURTHER.items():
        stack = base.but(**changes)
        if stack != base or name == "same":
            yield f"averaged/{name}", stack


def recorded_stacks(task: str, rows: int, points_wanted: int) -> Iterator[Named]:
    """Yield the stacks of a data set in the order in which they are recorded.

    Args:
        task: The data's task.
        rows: Number of its training rows.
        points_wanted: Number of points of the spaces `modern` and `chapter` together.
    """
    for name in REFERENCES:
        if name not in NOT_RECORDED:
            yield Named(name, reference(name, task))
    for factor in (1.0, *(rate for rate in RATES if rate != 1.0)):
        for name, form in variants(task):
            rate = factor * form["optimizer.learning_rate"]
            stack = fitted(form, rows, task).but(optimizer__learning_rate=rate)
            yield Named(f"{name}@{factor:g}", stack)
    for number in range(points_wanted):
        space = ("modern", "chapter")[number % 2]
        found = points(space)[number // 2]
        yield Named(f"{space}/{number // 2}", fitted(found, rows, task))
