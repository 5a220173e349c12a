"""Simulated runs from a planted response with known truth.

They replace the workers in tests and benchmarks of the statistics, where a recommendation can be
compared with the planted truth.

    loss = base + sum over axes of the planted effects + rate term + shared noise + own noise

The shared part of the noise is the same for all stacks with the same seed (the effect of the
split); the own part differs between stacks. Search trials have different seeds and share nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trainstack.search.data_spec import DataSpec
from trainstack.search.evidence.race import next_runs
from trainstack.search.records import CONFIRMATION, SEARCH, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class Planted:
    """A response with known effects.

    Attributes:
        effects: Axis → choice → increment of the loss (widths as a tuple).
        base: Loss of a stack without planted choices.
        deviation: Standard deviation of one run's loss over seeds.
        shared: Fraction of that variance shared by all stacks with the same seed, in [0, 1].
        noisier: Stack's id → factor on its own noise.
        uneven: Standard deviation of the logarithm of the stacks' own noise: 0 if all are equally
            noisy; at 0.5 two stacks in three are within a factor of 1.6.
        tails: Degrees of freedom of the own noise (Student's, of variance 1); infinite: normal.
        world: Seed of the noise.
        rates: Optimizer → its best learning rate; others do not depend on their rate.
        curvature: Loss added at a tenth, or ten times, of the best rate.
        diverge: Ids of stacks whose every run diverges.
    """

    effects: Mapping[str, Mapping[Any, float]] = field(default_factory=dict)
    base: float = 0.5
    deviation: float = 0.02
    shared: float = 0.8
    noisier: Mapping[str, float] = field(default_factory=dict)
    uneven: float = 0.0
    tails: float = math.inf
    world: int = 0
    rates: Mapping[str, float] = field(default_factory=dict)
    curvature: float = 0.1
    diverge: frozenset[str] = frozenset()

    def truth(self, stack: Stack) -> float:
        """Return the loss of a stack without noise."""
        loss = self.base + sum(of.get(stack.get(axis), 0.0) for axis, of in self.effects.items())
        best = self.rates.get(stack["optimizer"])
        if best is not None:
            rate = float(stack["optimizer.learning_rate"])
            loss += self.curvature * math.log10(rate / best) ** 2
        return loss

    def value(self, stack: Stack, seed: int) -> float:
        """Return the loss of one run; equal arguments give equal losses."""
        together = np.random.default_rng([seed]).normal()
        own = np.random.default_rng([seed, int(stack.stack_id, 16)])
        if math.isinf(self.tails):
            alone = own.normal()
        else:
            alone = own.standard_t(self.tails) * math.sqrt(1.0 - 2.0 / self.tails)
        alone *= self.noisier.get(stack.stack_id, 1.0)
        if self.uneven:
            rng = np.random.default_rng([self.world, int(stack.stack_id, 16)])
            alone *= math.exp(self.uneven * rng.normal() - self.uneven**2)
        mixed = math.sqrt(self.shared) * together + math.sqrt(1.0 - self.shared) * alone
        return self.truth(stack) + self.deviation * float(mixed)

    def run(
        self,
        stack: Stack,
        seed: int,
        number: int,
        seed_index: int = -1,
        label: str | None = None,
        epochs: int = 10,
    ) -> Run:
        """Return a finished run (a diverged one where planted), with a learning curve."""
        loss = self.value(stack, seed)
        over = np.arange(1, epochs + 1)
        curve = tuple(float(v) for v in loss * (1.0 + 1.5 * np.exp(-6.0 * over / epochs)))
        curve = (*curve[:-1], loss)
        widths = (64, *stack.units, 10)
        weights = sum((a + 1) * b for a, b in itertools.pairwise(widths))
        common: dict[str, Any] = {
            "phase": SEARCH if seed_index < 0 else CONFIRMATION,
            "number": number,
            "stack": stack,
            "stack_id": stack.stack_id,
            "seed": seed,
            "seed_index": seed_index,
            "label": label,
        }
        if stack.stack_id in self.diverge:
            return Run(**common, outcome="diverged", cause="the loss was not finite", epochs=2)
        return Run(
            **common,
            outcome="completed",
            value=loss,
            epochs=epochs,
            best_epoch=epochs,
            curve=curve,
            train_curve=tuple(0.8 * v for v in curve),
            metrics={"accuracy": 1.0 - loss / 5.0, "parameters": float(weights)},
            seconds={"total": 1.0 + weights / 1e5, "train": weights / 1e5},
        )

    def search(self, spec: StudySpec, stacks: Sequence[Stack] = ()) -> list[Run]:
        """Return a finished search: the given stacks, then random draws from the space."""
        rng = np.random.default_rng([spec.seed, 1])
        drawn = list(stacks)
        if len(drawn) < spec.trials:
            space = Space.from_json(dict(spec.space))
            drawn += [space.draw(RandomTrial(rng)) for _ in range(spec.trials - len(drawn))]
        seeds = rng.integers(2**30, size=len(drawn))
        return [
            self.run(stack, int(seed), number, epochs=spec.epochs)
            for number, (stack, seed) in enumerate(zip(drawn, seeds, strict=True))
        ]

    def confirm(self, spec: StudySpec, runs: Sequence[Run]) -> list[Run]:
        """Return the runs together with their complete confirmation."""
        found = list(runs)
        while wanted := next_runs(spec, found):
            first = sum(r.phase == CONFIRMATION for r in found)
            found += [
                self.run(p.stack, p.seed, first + k, p.seed_index, p.label, spec.epochs)
                for k, p in enumerate(wanted)
            ]
        return found


class RandomTrial:
    """Draws a space's parameters at random, in place of an Optuna trial."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a uniform number from the range (on the log scale if `log`)."""
        if log:
            return float(np.exp(self._rng.uniform(math.log(low), math.log(high))))
        if step is not None:
            return low + step * int(self._rng.integers(int((high - low) / step + 1e-9) + 1))
        return float(self._rng.uniform(low, high))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return a whole number from the range, ends included."""
        return int(low + step * self._rng.integers((high - low) // step + 1))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Return one of the choices."""
        return choices[int(self._rng.integers(len(choices)))]


def made_up_spec(**changes: Any) -> StudySpec:
    """Return a spec for simulated runs: a small classification, the chapter's space."""
    data = DataSpec("digits", None, "classification", "0" * 12, 64, tuple("0123456789"))
    given: dict[str, Any] = {"study": "made-up", "data": data, "epochs": 10, "trials": 40}
    given["space"] = changes.pop("space", None) or Space.named("chapter").to_json()
    return StudySpec(**{**given, **changes})


def neighbours(count: int, origin: Stack = CHAPTER_DEFAULT) -> list[Stack]:
    """Return stacks of the same family that differ from `origin` in one axis each."""
    changes: tuple[dict[str, Any], ...] = (
        {"optimizer": "adam"},
        {"schedule": "exponential"},
        {"dropout": "last"},
        {"batch_size": 64},
        {"clipping": "norm"},
        {"optimizer": "nesterov"},
        {"schedule": "cosine"},
        {"units": [100, 100]},
    )
    return [origin.but(**change) for change in changes[:count]]


ADAM, EXPONENTIAL, LAST, _ = NEIGHBOURS = neighbours(4)


BETTER = Planted(effects={"dropout": {"last": -0.2}}, deviation=0.01)


def finished_study(
    planted: Planted = BETTER,
    stacks: tuple[Stack, ...] = (CHAPTER_DEFAULT, *NEIGHBOURS),
    **asked: Any,
) -> tuple[StudySpec, list[Run]]:
    """A study that was searched and confirmed."""
    spec = made_up_spec(**{"space": {"axes": {}}, "trials": len(stacks), **asked})
    return spec, planted.confirm(spec, planted.search(spec, stacks))


BETTER_LAST = Planted(effects={"dropout": {"last": -0.2}})
STACKS = [CHAPTER_DEFAULT, *neighbours(4), REFERENCES["relu-he-bn-adam"]]


def study(count: int = len(STACKS), replicates: int = 5) -> tuple[StudySpec, list[Run]]:
    """A study of the first few stacks."""
    spec = made_up_spec(space={"axes": {}}, trials=count, replicates=replicates)
    return spec, BETTER_LAST.confirm(spec, BETTER_LAST.search(spec, STACKS[:count]))
