"""The table of figures by which claims compare paired runs.

To add one, add a row. Lower is better; where it is not, a claim reverses the order of its choices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from trainstack.search.evidence.candidates import usable
from trainstack.search.evidence.finite import finite
from trainstack.search.records import Run

LOSS = "loss"

# Two runs of a pair → the figure of each, or None if either run lacks it.
Measure = Callable[[Run, Run], "tuple[float, float] | None"]


@dataclass(frozen=True)
class Figure:
    """A figure by which paired runs are compared.

    Attributes:
        name: Name of the figure.
        title: Description with its unit, for use in a sentence.
        measure: Reads it from the two runs of a pair.
        machine: True if it depends on the machine; then a pair's runs must share one.
        signed: True if it may be below 0, so that two of them have no ratio.
        constraint: Constraint, always satisfied, that makes workers measure the figure in every
            confirmation run; empty if they always do.
    """

    name: str
    title: str
    measure: Measure
    machine: bool = False
    signed: bool = False
    constraint: str = ""


def _each(of: Callable[[Run], float | None]) -> Measure:
    """Return a measure that reads each run by itself."""

    def measure(first: Run, second: Run) -> tuple[float, float] | None:
        one, other = of(first), of(second)
        if one is None or other is None or not (math.isfinite(one) and math.isfinite(other)):
            return None
        return one, other

    return measure


def _epochs_to_reach(first: Run, second: Run) -> tuple[float, float] | None:
    """Return the epochs that each run needs to the lowest loss that both reach."""
    if not (first.curve and second.curve):
        return None
    reached = finite(first.curve), finite(second.curve)
    if not all(reached):
        return None
    target = max(map(min, reached))
    one, other = (
        next(e for e, v in enumerate(run.curve, start=1) if math.isfinite(v) and v <= target)
        for run in (first, second)
    )
    return float(one), float(other)


def _epoch_seconds(run: Run) -> float | None:
    taken = run.seconds.get("train")
    return taken / run.epochs if taken and run.epochs else None


def _gap(run: Run) -> float | None:
    """Return validation loss minus training loss, at the epoch whose weights were restored."""
    place = run.best_epoch - 1
    if not 0 <= place < min(len(run.curve), len(run.train_curve)):
        return None
    return run.curve[place] - run.train_curve[place]


def _rises(run: Run) -> float | None:
    """Return the mean rise of the validation loss from one epoch to the next."""
    if len(finite(run.curve)) < len(run.curve):
        return None
    steps = [max(0.0, b - a) for a, b in zip(run.curve, run.curve[1:], strict=False)]
    return sum(steps) / len(steps) if steps else None


def _drift(run: Run) -> float | None:
    """Return the greatest distance of a hidden layer's outputs from mean 0 and deviation 1.

    max over layers of sqrt(mean² + ln(deviation)²), with the restored weights: 0 is a network
    that normalizes itself.
    """
    layers = run.layers.get("end") or ()
    far = [
        math.hypot(layer["mean"], math.log(max(layer["deviation"], 1e-12)))
        for layer in layers
        if layer.get("mean") is not None and layer.get("deviation") is not None
    ]
    return max(far) if far and len(finite(far)) == len(far) else None


def _metric(name: str) -> Measure:
    return _each(lambda run: run.metrics.get(name))


FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure(LOSS, "validation loss", _each(lambda run: run.value if usable(run) else None)),
        Figure("epochs", "epochs to the loss that both reach", _epochs_to_reach),
        Figure("epoch_seconds", "seconds per epoch", _each(_epoch_seconds), machine=True),
        Figure("gap", "validation loss above training loss", _each(_gap), signed=True),
        Figure("rises", "rise of the validation loss from epoch to epoch", _each(_rises)),
        Figure("drift", "distance of the farthest layer from mean 0, deviation 1", _each(_drift)),
        Figure(
            *("nonzero_fraction", "share of weights that are not zero"),
            _metric("nonzero_fraction"),
            constraint="nonzero_fraction<=1",
        ),
        Figure(
            *("latency_ms", "latency of the exported model in milliseconds per row"),
            _metric("latency_ms"),
            machine=True,
            constraint="latency_ms<=1e+09",
        ),
    )
}


def paired_figures(figure: str, first: Run, second: Run) -> tuple[float, float] | None:
    """Return a figure of two runs; None if either lacks it or they cannot be compared."""
    row = FIGURES[figure]
    if row.machine and _host(first) != _host(second):
        return None
    return row.measure(first, second)


def _host(run: Run) -> str:
    """Return the host name in a worker's name, `host-process-number`."""
    return (run.worker or "").rsplit("-", 2)[0]
