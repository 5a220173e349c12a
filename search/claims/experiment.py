"""The designed experiment for some claims: which runs to train, as a pure function of the runs.

Every contrast of a claim (`claims.CLAIMS`) has two *arms*: the claim's base stack with the one
choice and with the other, and everything else equal. Each arm's learning rate is tuned first, on a
seed of its own: a few rates around the usual one, and further while the best lies at the edge, so
that neither arm wins by a rate that suits it. Then all arms are trained with the same fresh seeds
(pairs). A study that asks for claims has no search; its confirmation is these runs, which the same
fleet trains; `next_runs` and `choice` stand where `plan` has them for a search.

Reference: Wilson et al., "The marginal value of adaptive gradient methods in machine learning",
2017 (a power grid of rates, extended while the best is at its end).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainstack.search.claims.figures import FIGURES
from trainstack.search.claims.table import CLAIMS
from trainstack.search.claims.types import Claim, Contrast, made, said
from trainstack.search.conditions import PLAIN, Condition
from trainstack.search.evidence.ablation import TUNING_INDEX
from trainstack.search.evidence.candidates import usable
from trainstack.search.evidence.planned_run import Planned, confirmation_seed
from trainstack.search.records import CONFIRMATION, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError, nearest
from trainstack.spaces.stack import Stack

# Rates tried: the usual one times this to the power of -1, 0 and 1, and on to ±WIDEST while the
# best of them is at the end.
RATIO = 3.0
WIDEST = 3
# What `seconds_of` reckons with; measured on one core of a server of 2021.
START_SECONDS, STEP_SECONDS, LAYER_SECONDS = 1.0, 0.1e-3, 0.06e-3
OPERATIONS_A_SECOND = 1.0e11
# A claim is asked for unless told otherwise when it has at most so many arms.
FEW_ARMS = 2
LABEL = "claims: "

# (stack's id, seed's index) → the run that ended there.
Known = Mapping[tuple[str | None, int], Run]


@dataclass(frozen=True)
class Arm:
    """A stack that an experiment trains.

    Attributes:
        stack: With its usual learning rate, or the one to be trained with.
        label: What its runs are called.
        tuned: True where its learning rate is tuned first.
        condition: What is done to its runs beside the stack.
    """

    stack: Stack
    label: str
    tuned: bool = True
    condition: Condition = PLAIN

    def at(self, power: int) -> Stack:
        """Return the stack at RATIO to some power times its usual learning rate."""
        rate = self.stack["optimizer.learning_rate"]
        return self.stack.but(optimizer__learning_rate=rate * RATIO**power)

    def found(self, stack: Stack, index: int, known: Known) -> Run | None:
        """Return the arm's run that ended, with a learning rate and a seed's index."""
        return known.get((self.condition.identity(stack), index))

    def planned(self, stack: Stack, index: int, spec: StudySpec) -> Planned:
        """Return the arm's run with a learning rate and a seed's index, as one that is wanted."""
        seed = confirmation_seed(spec.seed, index)
        return Planned(stack, self.label, index, seed, self.condition)


def asked(names: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of the claims asked for, in the table's order.

    Args:
        names: Ids, in any spelling; `all`; none: those that are cheap to test.

    Raises:
        RequestError: There is no such claim.
    """
    if not names:
        return tuple(i for i, c in CLAIMS.items() if c.contrasts and len(arms([i])) <= FEW_ARMS)
    wanted = [name.strip().upper() for name in names]
    if wanted == ["ALL"]:
        return tuple(CLAIMS)
    for name, given in zip(wanted, names, strict=True):
        if name not in CLAIMS:
            raise RequestError(f"--claim {given!r} is not known", hint=nearest(name, [*CLAIMS]))
    return tuple(i for i in CLAIMS if i in wanted)


def sides(claim: Claim, contrast: Contrast) -> tuple[Arm, Arm]:
    """Return the two arms of a contrast."""
    first, second = (
        _arm(claim, choices, title, contrast.factor, condition)
        for choices, title, condition in zip(
            (contrast.first, contrast.second), contrast.sides, contrast.under, strict=True
        )
    )
    return first, second


def _arm(
    claim: Claim,
    choices: Mapping[str, object],
    title: str,
    factor: float | None,
    condition: Condition = PLAIN,
) -> Arm:
    stack, label = made(claim.base, choices), f"{LABEL}{title}"
    if factor is None:
        return Arm(stack, label, condition=condition)
    rate = stack["optimizer.learning_rate"] * factor
    return Arm(stack.but(optimizer__learning_rate=rate), label, False, condition)


def compared(claim: Claim) -> list[Contrast]:
    """Return every contrast that a claim's experiment trains the arms of."""
    return [one for c in claim.contrasts for one in (c.beyond, c) if one is not None]


def measured_arm(claim: Claim) -> Arm | None:
    """Return the arm whose look at the test set decides a claim; None where none does."""
    if claim.measures is None:
        return None
    choices = ((axis, value) for axis, value in claim.measures.items() if "__" not in axis)
    return _arm(claim, claim.measures, ", ".join(said(*choice) for choice in choices), None)


def arms(ids: Sequence[str]) -> tuple[Arm, ...]:
    """Return the distinct arms of some claims, in order; claims share what is the same."""
    found: dict[tuple[Stack, Condition, bool], Arm] = {}
    for claim in (CLAIMS[i] for i in ids):
        these = [arm for contrast in compared(claim) for arm in sides(claim, contrast)]
        alone = measured_arm(claim)
        for arm in (*these, *((alone,) if alone else ())):
            found.setdefault((arm.stack, arm.condition, arm.tuned), arm)
    return tuple(found.values())


def constraints(ids: Sequence[str]) -> tuple[str, ...]:
    """Return the bounds that make workers measure what the claims are about; all keep them."""
    figures = {contrast.figure for i in ids for contrast in CLAIMS[i].contrasts}
    return tuple(f.constraint for f in FIGURES.values() if f.constraint and f.name in figures)


def seconds_of(stack: Stack, rows: int, features: int, outputs: int, epochs: int) -> float:
    """Estimate what one run takes on one core, if nothing stops it early.

    Starting and compiling, then steps, each with a fixed cost a layer and 6 floating-point
    operations a weight and row (forward 2, backward 4). Within a factor of two or three.

    Args:
        stack: What is trained.
        rows: Rows of the training part.
        features: Inputs of the network.
        outputs: Width of its head.
        epochs: Epochs of the run.
    """
    widths = (features, *stack.units, outputs)
    weights = sum((a + 1) * b for a, b in itertools.pairwise(widths))
    step = STEP_SECONDS + LAYER_SECONDS * len(stack.units)
    step += 6.0 * weights * stack["batch_size"] / OPERATIONS_A_SECOND
    return START_SECONDS + epochs * math.ceil(rows / stack["batch_size"]) * step


def run_counts(ids: Sequence[str], replicates: int) -> tuple[int, int]:
    """Return how many runs claims take: where no tuning goes on, and at most."""
    found = arms(ids)
    tuned = sum(arm.tuned for arm in found)
    paired = len(found) * replicates
    return paired + tuned * 3, paired + tuned * (2 * WIDEST + 1)


def ended(runs: Sequence[Run]) -> Known:
    """Return the runs that are over, by stack and seed."""
    return {
        (r.stack_id, r.seed_index): r
        for r in runs
        if r.phase == CONFIRMATION and r.outcome not in ("voided", "waiting", "running")
    }


def settled(arm: Arm, known: Known) -> tuple[Stack | None, list[Stack]]:
    """Return an arm with its learning rate tuned, and the rates that are still to be tried.

    Returns:
        The stack to compare (None before the tuning is over, and where no rate ended with a
        finite loss), and the stacks of missing tuning runs.
    """
    if not arm.tuned:
        return arm.stack, []
    low, high = -1, 1
    while True:
        stacks = {power: arm.at(power) for power in range(low, high + 1)}
        tried = {p: arm.found(stack, TUNING_INDEX, known) for p, stack in stacks.items()}
        if missing := [stacks[p] for p, run in tried.items() if run is None]:
            return None, missing
        if all(run and run.outcome == "infeasible" for run in tried.values()):
            return None, []  # no rate would help
        losses = {p: _loss(run) for p, run in tried.items() if run is not None}
        # Where two rates are as good the usual one, or the nearer to it, is taken.
        best = min(losses, key=lambda power: (losses[power], abs(power)))
        hopeless = math.isinf(losses[best])
        if (hopeless or best == low) and low > -WIDEST:
            low -= 1  # what diverges everywhere may learn at a lower rate
        elif not hopeless and best == high and high < WIDEST:
            high += 1
        else:
            return None if hopeless else stacks[best], []


def _loss(run: Run) -> float:
    return float(run.value or 0.0) if usable(run) else math.inf


def next_runs(spec: StudySpec, runs: Sequence[Run]) -> list[Planned]:
    """Return the experiment's runs that are still missing, in the order to train them.

    Tuning comes first: an arm's paired runs wait for it, and for nothing else. A run that failed,
    diverged or was infeasible is not asked for again.
    """
    known = ended(runs)
    tuning: list[Planned] = []
    paired: dict[tuple[str, int], Planned] = {}
    for arm in arms(spec.experiment):
        best, missing = settled(arm, known)
        tuning += [arm.planned(stack, TUNING_INDEX, spec) for stack in missing]
        for j in range(spec.replicates if best else 0):
            assert best is not None
            if arm.found(best, j, known) is None:
                run = arm.planned(best, j, spec)
                paired.setdefault((run.stack_id, j), run)
    return [*tuning, *sorted(paired.values(), key=lambda run: run.seed_index)]


@dataclass(frozen=True)
class Look:
    """What to measure on the test set: one stack, which is compared with itself alone."""

    stack: Stack

    @property
    def baseline(self) -> Stack:
        """The stack itself."""
        return self.stack


def choice(spec: StudySpec, runs: Sequence[Run]) -> Look | None:
    """Return what to measure on the test set; None where no claim asks for it."""
    known = ended(runs)
    for claim in (CLAIMS[i] for i in spec.experiment):
        if (arm := measured_arm(claim)) is not None:
            best, _ = settled(arm, known)
            return Look(best) if best else None
    return None
