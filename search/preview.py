"""A small sample of the stacks that a launch would train, with every arm at least once.

Pure functions; `trainstack.workers.tasks.preview` builds the stacks and measures their speed, and
`trainstack.search.preview_time` estimates the search's time from it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainstack.spaces.axes import BUNDLE_AXIS, UNITS_AXIS
from trainstack.spaces.domains import Choices
from trainstack.spaces.own_numbers import PREFIX
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class Sample:
    """A stack that represents the arms with which it was drawn.

    Attributes:
        stack: The stack.
        arms: Arm such as `activation=relu` → its parameter; empty for a given stack.
        typical: False if its numbers are the largest.
    """

    stack: Stack
    arms: Mapping[str, str] = field(default_factory=dict)
    typical: bool = True


@dataclass(frozen=True)
class Tried:
    """Result of building a sample and training it for some steps.

    Attributes:
        sample: The sample.
        cause: Reason why it cannot be trained; empty if it can.
        build_seconds: Time for building, tracing and compiling.
        epoch_seconds: Estimated time per epoch on this machine, including validation.
        parameters: Number of weights.
    """

    sample: Sample
    cause: str = ""
    build_seconds: float = 0.0
    epoch_seconds: float = 0.0
    parameters: int = 0


def between(low: float, high: float, share: float, log: bool) -> float:
    """Return the number at a share of a range, in [0, 1], on its scale.

    >>> round(between(1.0, 100.0, 0.5, log=True), 6)
    10.0
    """
    if log:
        return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return low + share * (high - low)


class _Choosing:
    """A trial that chooses the wanted arm, else one not drawn yet, else the usual one.

    Args:
        seen: Arms that were drawn before.
        wanted: Axis → arm to choose.
        share: Position in ranges: 0 the low end, 1 the high end.
    """

    def __init__(
        self,
        seen: Collection[str] = (),
        wanted: Mapping[str, str] | None = None,
        share: float = 0.5,
    ) -> None:
        self._seen, self._wanted, self._share = seen, wanted or {}, share
        self.arms: dict[str, str] = {}
        # Arm that could have been drawn → the choices of axes on which it depends.
        self.offered: dict[str, dict[str, str]] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return the number at `share` of the range, on its scale."""
        return between(low, high, self._share, log)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return the whole number at `share` of the range."""
        return min(high, round(self.suggest_float(name, low, high, log=log)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return an arm, or the number at `share` of a list."""
        own = name.startswith(PREFIX)
        if not own and not all(isinstance(choice, str) for choice in choices):
            return choices[round(self._share * (len(choices) - 1))]
        axis, _, owner = (name, "", "") if own else name.partition(".")
        for choice in choices:
            self.offered[f"{axis}={choice}"] = _brings(axis, owner)
        fresh = [choice for choice in choices if f"{axis}={choice}" not in self._seen]
        # The bundle fixes other axes, so it is drawn only in the first sample.
        free = axis == BUNDLE_AXIS and self._seen and "free" in choices
        usual = "free" if free else choices[0]
        wanted = self._wanted.get(name)
        chosen = wanted if wanted in choices else (fresh or [usual])[0]
        self.arms[f"{axis}={chosen}"] = name
        return chosen


def _brings(axis: str, owner: str) -> dict[str, str]:
    """Return the choice on which a parameter depends, such as an initializer on its activation."""
    if not owner:
        return {}
    return {"activation" if axis == "initializer" else axis: owner}


def covering(space: Space) -> list[Sample]:
    """Draw a small set of stacks that covers every arm of a space, with mid-range numbers.

    The last ones are the largest networks: one per shape, with its numbers at the high end.
    """
    seen: set[str] = set()
    open_arms: dict[str, dict[str, str]] = {}
    samples: list[Sample] = []
    while not samples or open_arms:
        wanted = next(iter(open_arms.values()), {})
        trial = _Choosing(seen, wanted)
        stack = space.draw(trial)
        if samples and seen.issuperset(trial.arms):
            break  # the remaining arms cannot be drawn
        seen.update(trial.arms)
        open_arms.update(trial.offered)
        open_arms = {arm: brings for arm, brings in open_arms.items() if arm not in seen}
        samples.append(Sample(stack, trial.arms))
    for shape in space.arms[UNITS_AXIS]:
        last = {name: arms[-1] for name, arms in _own_choices(space).items()}
        stack = space.draw(_Choosing(seen, {UNITS_AXIS: shape, **last}, 1.0))
        if space.network:
            samples.append(Sample(stack, {"network at its largest": "network"}, typical=False))
        elif all(stack.units != sample.stack.units for sample in samples):
            named = {f"{UNITS_AXIS}={shape} at its largest": UNITS_AXIS}
            samples.append(Sample(stack, named, typical=False))
    return samples


def _own_choices(space: Space) -> dict[str, tuple[Any, ...]]:
    """Return the choices of a user's own network, by stack key."""
    domains = {PREFIX + name: number.domain for name, number in space.network.items()}
    return {key: domain.values for key, domain in domains.items() if isinstance(domain, Choices)}


def singled_out(space: Space, failed: Sample, good: Sequence[Sample]) -> list[Sample]:
    """Draw a stack for each arm that may have caused a failure, with usual choices otherwise.

    Args:
        space: The space.
        failed: A sample that cannot be trained.
        good: Samples that can be trained, whose arms are therefore not the cause.
    """
    if not failed.typical:
        return []
    blameless = {arm for sample in good for arm in sample.arms}
    everything = {*blameless, *failed.arms}
    samples = []
    for arm, name in failed.arms.items():
        if arm not in blameless:
            axis, _, owner = name.partition(".")
            wanted = {**_brings(axis, owner), name: arm.partition("=")[2]}
            samples.append(Sample(space.draw(_Choosing(everything, wanted)), {arm: name}))
    return samples
