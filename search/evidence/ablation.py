"""Ablations: the recommended stack against itself with one choice changed.

After the choice is settled, the workers train a *variant* for each searched axis: the recommended
stack with the alternative on that axis and everything else equal, with the confirmation's seeds. So
every such axis has as many pairs as there are replicates, and `effects` can judge it. If a choice
affects the best learning rate, the variant's rate is tuned first: three rates on a separate seed,
which makes no pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainstack.search.evidence.candidates import BASELINE, searched, usable
from trainstack.search.evidence.finite import finite
from trainstack.search.evidence.formatting import name
from trainstack.search.evidence.planned_run import Planned, confirmation_seed
from trainstack.search.records import CONFIRMATION, Outcome, Run, Status
from trainstack.search.spec import StudySpec
from trainstack.spaces.axes import BUNDLE_AXIS, SELF_NORMALIZING, only_choice
from trainstack.spaces.network_space import filled
from trainstack.spaces.optimizers import OPTIMIZERS
from trainstack.spaces.own_numbers import PREFIX, OwnNumber
from trainstack.spaces.stack import Stack

# Axes in order of interest (departures from the default come first), and the most to ablate.
AXES = (
    *("activation", "normalization", "optimizer", "units", "dropout", "schedule", "penalty"),
    *("batch_size", "max_norm", "clipping", "input_normalization", "connection"),
    *("pretraining", "preparation", "embedding", "categories", "input_scale"),
    *("averaging", "label_smoothing", "decay"),
    *("parametrization", "head", "bias", "calibration", "bias_rate"),
)
MOST_AXES = 8
# Choices that affect the best learning rate (Wilson et al. 2017; Ioffe and Szegedy 2015; Jacot et
# al. 2018).
TUNED = ("activation", "normalization", "optimizer", "batch_size", "parametrization")
# Factors on a variant's learning rate to try, and the index of the seed for that.
FACTORS = (1.0, 1 / 3, 3.0)
TUNING_INDEX = 1000
# Least number of replicates for ablations: fewer give no interval.
FEWEST_SEEDS = 2
# Axes ablated at any cost; further ones only while all together take no more time than search and
# race did.
FEWEST_AXES = 3
LABEL = "ablation: "

_RATE = "optimizer__learning_rate"


@dataclass(frozen=True)
class Ablation:
    """The recommended stack with one axis changed.

    Attributes:
        axis: The axis.
        variants: The changed stack at each learning rate to try, its own rate first.
    """

    axis: str
    variants: tuple[Stack, ...]

    @property
    def label(self) -> str:
        """Label of its runs."""
        return f"{LABEL}{self.axis}={name(self.variants[0][self.axis])}"


def searched_axes(spec: StudySpec) -> tuple[str, ...]:
    """Return the axes of AXES with a choice in the space; none for given stacks.

    A user's own network has its numbers in place of the widths.
    """
    axes: Mapping[str, Any] = spec.space.get("axes", {})
    if spec.stacks:
        return ()
    fixed = SELF_NORMALIZING if list(axes.get(BUNDLE_AXIS, ())) == ["self_normalizing"] else {}
    found = [a for a in AXES if a not in fixed and _open(axes.get(a), a == "units")]
    own = [PREFIX + name for name, given in spec.space.get("network", {}).items() if _open(given)]
    place = sum(axis in AXES[: AXES.index("units")] for axis in found)
    return (*found[:place], *own, *found[place:])


def _open(domain: Any, inside: bool = False) -> bool:
    """Tell whether a domain or a table of arms offers a choice."""
    if not isinstance(domain, Mapping):
        return False
    if "choices" in domain:
        return len(domain["choices"]) > 1
    if "low" in domain:
        return domain["low"] < domain["high"]
    return len(domain) > 1 or (
        inside and any(_open(d) for arm in domain.values() for d in arm.values())
    )


def ablations(spec: StudySpec, runs: Sequence[Run], stack: Stack) -> list[Ablation]:
    """Return the ablations of a stack, one axis each, at most MOST_AXES.

    The alternative is the chapter default's choice if different, else the choice of the best search
    trial with a different one; an axis without either is left out.
    """
    numbers = spec.network_numbers
    finished = [filled(c.stack, numbers) for c in searched(runs)]
    mine, default = filled(stack, numbers), filled(BASELINE, numbers)
    found = []
    # A stack whose layers are a saved model's has its widths and activation.
    reuses = spec.reused is not None and stack["pretraining"] == "reuse"
    held = ("units", "activation") if reuses else ()
    # Departures from the default come first; the sort is stable.
    for axis in sorted(searched_axes(spec), key=lambda a: mine.get(a) == default.get(a)):
        choice = mine.get(axis)
        if axis in held or choice is None:  # a network does not ask for every number
            continue
        others = (s for s in (default, *finished) if s.get(axis) not in (choice, None))
        other = next(others, None)
        if other is not None and only_choice(axis, dict(stack.items)) is None:
            own = axis.startswith(PREFIX)
            variant = (
                with_number(mine, axis, other, numbers)
                if own
                else changed(stack, axis, other, finished)
            )
            found.append(Ablation(axis, _rates(variant) if axis in TUNED else (variant,)))
    return found[:MOST_AXES]


def changed(stack: Stack, axis: str, other: Stack, finished: Sequence[Stack] = ()) -> Stack:
    """Return a stack with another one's choice on an axis, including numbers and initializer.

    Another optimizer starts from the rate of the best finished trial that used it, else from its
    default rate.
    """
    value = other[axis]
    changes: dict[str, Any] = {axis: list(value) if isinstance(value, tuple) else value}
    changes |= {f"{axis}__{key}": number for key, number in other.numbers(axis).items()}
    if axis == "activation":
        changes["initializer"] = other["initializer"]
    if axis == "optimizer":
        rates = (s["optimizer.learning_rate"] for s in finished if s[axis] == value)
        changes[_RATE] = next(rates, OPTIMIZERS[other["optimizer"]].parameters[0].default)
    return stack.but(**changes)


def with_number(
    stack: Stack, key: str, other: Stack, numbers: Mapping[str, OwnNumber] | None
) -> Stack:
    """Return a stack with another one's value of a number of a user's own network.

    Numbers that the network then asks for besides have the other stack's values.
    """
    own = {k: v for k, v in other.items if k.startswith(PREFIX)}
    return filled(Stack.from_json({**own, **stack.to_json(), key: other[key]}), numbers)


def _rates(variant: Stack) -> tuple[Stack, ...]:
    rate = variant["optimizer.learning_rate"]
    return tuple(variant.but(**{_RATE: rate * factor}) for factor in FACTORS)


def wanted(
    spec: StudySpec, runs: Sequence[Run], stack: Stack, entrants: Sequence[Stack]
) -> list[Planned]:
    """Return the ablation's missing runs.

    Args:
        spec: Spec of the study.
        runs: All runs.
        stack: The recommended stack.
        entrants: Stacks of the race. They are not trained again: further runs could change the
            choice. Their existing pairs are used.
    """
    known = {
        (r.stack_id, r.seed_index): r
        for r in runs
        if r.phase == CONFIRMATION and r.outcome != Outcome.VOIDED
    }
    seeds = [
        j
        for j in range(spec.replicates)
        if (run := known.get((stack.stack_id, j))) is not None and usable(run)
    ]
    if len(seeds) < FEWEST_SEEDS:
        return []
    found: list[Planned] = []
    for ablation in _affordable(ablations(spec, runs, stack), spec, runs, stack):
        if any(variant in entrants for variant in ablation.variants):
            continue
        places = [(v, TUNING_INDEX) for v in ablation.variants]
        if len(ablation.variants) == 1 or all((v.stack_id, j) in known for v, j in places):
            variant = _best(ablation, known)
            places = [(variant, j) for j in seeds] if variant else []
        found += [
            Planned(v, ablation.label, j, confirmation_seed(spec.seed, j))
            for v, j in places
            if (v.stack_id, j) not in known
        ]
    return found


def _affordable(
    found: list[Ablation], spec: StudySpec, runs: Sequence[Run], stack: Stack
) -> list[Ablation]:
    """Return the first axes that take no more time than search and race, at least FEWEST_AXES."""
    before = [r for r in runs if not (r.label or "").startswith(LABEL)]
    own = [r for r in before if r.phase == CONFIRMATION and r.stack_id == stack.stack_id]
    one = _mean_seconds(own) * (spec.replicates + len(FACTORS))
    axes = int(_mean_seconds(before) * len(before) / one) if one else MOST_AXES
    return found[: max(FEWEST_AXES, axes)]


def _mean_seconds(runs: Sequence[Run]) -> float:
    return sum(finite(r.seconds.get("total") for r in runs)) / max(1, len(runs))


def _best(ablation: Ablation, known: Mapping[tuple[str | None, int], Run]) -> Stack | None:
    """Return the variant with the best tuning run; None while tuning, or if no run finished."""
    if len(ablation.variants) == 1:
        return ablation.variants[0]
    tuned = [known[v.stack_id, TUNING_INDEX] for v in ablation.variants]
    if any(run.outcome in (Status.WAITING, Status.RUNNING) for run in tuned):
        return None
    good = [run for run in tuned if usable(run)]
    return min(good, key=lambda run: run.value or 0.0).stack if good else None
