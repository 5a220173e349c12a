"""The designed experiment for some claims: which runs to train, as a pure function of the runs.

Every contrast of a claim (`claims.CLAIMS`) has two *arms*: the claim's base stack with either
choice, everything else equal. First each arm's learning rate is tuned on a separate seed: a few
rates around the usual one, extended while the best lies at the edge, so that neither arm wins by a
favourable rate. Then all arms are trained with the same fresh seeds (pairs). A study of claims has
no search; its confirmation is these runs, trained by the same workers. `next_runs` and `choice`
take the place of those in `evidence.race`.

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
from trainstack.search.claims.types import Claim, Contrast, in_words, made
from trainstack.search.conditions import PLAIN, Condition
from trainstack.search.evidence.ablation import TUNING_INDEX
from trainstack.search.evidence.candidates import usable
from trainstack.search.evidence.planned_run import Planned, confirmation_seed
from trainstack.search.records import CONFIRMATION, Outcome, Run, Status
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError, nearest
from trainstack.spaces.stack import Stack

# Rates tried: the usual one times this to the power of -1, 0 and 1, extended to ±WIDEST while the
# best is at the end.
RATIO = 3.0
WIDEST = 3
# Constants of `seconds_of`, measured on one core of a server of 2021.
START_SECONDS, STEP_SECONDS, LAYER_SECONDS = 1.0, 0.1e-3, 0.06e-3
OPERATIONS_PER_SECOND = 1.0e11
# Claims with at most this many arms are tested by default.
FEW_ARMS = 2
LABEL = "claims: "

# (stack's id, seed's index) → the run that ended there.
Known = Mapping[tuple[str | None, int], Run]

# Runs that hold no evidence: voided, or not ended yet.
UNUSABLE = (Outcome.VOIDED, Status.WAITING, Status.RUNNING)


@dataclass(frozen=True)
class Arm:
    """A stack that an experiment trains.

    Attributes:
        stack: The stack with its usual learning rate, or the rate to train with.
        label: Label of its runs.
        tuned: True if its learning rate is tuned first.
        condition: Condition of its runs beside the stack.
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
        """Return the arm's finished run with a learning rate and a seed's index."""
        return known.get((self.condition.identity(stack), index))

    def planned(self, stack: Stack, index: int, spec: StudySpec) -> Planned:
        """Return the planned run of the arm with a learning rate and a seed's index."""
        seed = confirmation_seed(spec.seed, index)
        return Planned(stack, self.label, index, seed, self.condition)


def asked(names: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of the requested claims, in the table's order.

    Args:
        names: Ids in any case, or `all`; empty: the claims that are cheap to test.

    Raises:
        RequestError: A claim does not exist.
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
    """Return every contrast whose arms a claim's experiment trains."""
    return [one for c in claim.contrasts for one in (c.beyond, c) if one is not None]


def measured_arm(claim: Claim) -> Arm | None:
    """Return the arm whose test-set measurement decides a claim, or None."""
    if claim.measures is None:
        return None
    choices = ((axis, value) for axis, value in claim.measures.items() if "__" not in axis)
    return _arm(claim, claim.measures, ", ".join(in_words(*choice) for choice in choices), None)


def arms(ids: Sequence[str]) -> tuple[Arm, ...]:
    """Return the distinct arms of some claims, in order; claims share equal arms."""
    found: dict[tuple[Stack, Condition, bool], Arm] = {}
    for claim in (CLAIMS[i] for i in ids):
        these = [arm for contrast in compared(claim) for arm in sides(claim, contrast)]
        alone = measured_arm(claim)
        for arm in (*these, *((alone,) if alone else ())):
            found.setdefault((arm.stack, arm.condition, arm.tuned), arm)
    return tuple(found.values())


def constraints(ids: Sequence[str]) -> tuple[str, ...]:
    """Return constraints, always satisfied, that make workers measure the claims' figures."""
    figures = {contrast.figure for i in ids for contrast in CLAIMS[i].contrasts}
    return tuple(f.constraint for f in FIGURES.values() if f.constraint and f.name in figures)


def seconds_of(stack: Stack, rows: int, features: int, outputs: int, epochs: int) -> float:
    """Estimate the seconds of one run on one core without early stopping.

    Starting and compiling, then steps, each with a fixed cost per layer and 6 floating-point
    operations per weight and row (forward 2, backward 4). Accurate to a factor of two or three.

    Args:
        stack: The stack to train.
        rows: Rows of the training part.
        features: Inputs of the network.
        outputs: Width of its head.
        epochs: Epochs of the run.
    """
    widths = (features, *stack.units, outputs)
    weights = sum((a + 1) * b for a, b in itertools.pairwise(widths))
    step = STEP_SECONDS + LAYER_SECONDS * len(stack.units)
    step += 6.0 * weights * stack["batch_size"] / OPERATIONS_PER_SECOND
    return START_SECONDS + epochs * math.ceil(rows / stack["batch_size"]) * step


def run_counts(ids: Sequence[str], replicates: int) -> tuple[int, int]:
    """Return the least (no extended tuning) and greatest number of runs of some claims."""
    found = arms(ids)
    tuned = sum(arm.tuned for arm in found)
    paired = len(found) * replicates
    return paired + tuned * 3, paired + tuned * (2 * WIDEST + 1)


def ended(runs: Sequence[Run]) -> Known:
    """Return the finished runs by stack and seed."""
    return {
        (r.stack_id, r.seed_index): r
        for r in runs
        if r.phase == CONFIRMATION and r.outcome not in UNUSABLE
    }


def settled(arm: Arm, known: Known) -> tuple[Stack | None, list[Stack]]:
    """Return an arm with its tuned learning rate, and the runs still missing for it.

    Returns:
        The stack to compare (None before tuning is over, or if no rate gave a finite loss), and
        the stacks of missing tuning runs.
    """
    if not arm.tuned:
        return arm.stack, []
    low, high = -1, 1
    while True:
        stacks = {power: arm.at(power) for power in range(low, high + 1)}
        tried = {p: arm.found(stack, TUNING_INDEX, known) for p, stack in stacks.items()}
        if missing := [stacks[p] for p, run in tried.items() if run is None]:
            return None, missing
        if all(run and run.outcome == Outcome.INFEASIBLE for run in tried.values()):
            return None, []  # no rate would help
        losses = {p: _loss(run) for p, run in tried.items() if run is not None}
        # Ties go to the rate nearest to the usual one.
        best = min(losses, key=lambda power: (losses[power], abs(power)))
        hopeless = math.isinf(losses[best])
        if (hopeless or best == low) and low > -WIDEST:
            low -= 1  # a stack that diverges at every rate may learn at a lower one
        elif not hopeless and best == high and high < WIDEST:
            high += 1
        else:
            return None if hopeless else stacks[best], []


def _loss(run: Run) -> float:
    return float(run.value or 0.0) if usable(run) else math.inf


def next_runs(spec: StudySpec, runs: Sequence[Run]) -> list[Planned]:
    """Return the experiment's missing runs, in the order to train them.

    Tuning comes first; the paired runs of an arm wait only for its own tuning. A run that failed,
    diverged or was infeasible is not repeated.
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
    """What to measure on the test set: a single stack, without comparison."""

    stack: Stack

    @property
    def baseline(self) -> Stack:
        """The stack itself."""
        return self.stack

    def seeds(self, replicates: int) -> range:
        """Return the seed indices of the runs to measure."""
        return range(replicates)


def choice(spec: StudySpec, runs: Sequence[Run]) -> Look | None:
    """Return what to measure on the test set; None if no claim needs it."""
    known = ended(runs)
    for claim in (CLAIMS[i] for i in spec.experiment):
        if (arm := measured_arm(claim)) is not None:
            best, _ = settled(arm, known)
            return Look(best) if best else None
    return None
