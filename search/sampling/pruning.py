"""The table of pruners: who is ended early at a rung, decided from curves alone.

A rung is a share of each trial's own plan, so that plans of different lengths meet there. A trial
is compared only with trials whose rate has at least as far still to come down: the loss under a
high rate says little about the end of the plan, and one that has cooled would look better for that
alone. Pure functions; Optuna's own pruners know nothing of schedules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trainstack.spaces.errors import RequestError, nearest
from trainstack.spaces.stack import Stack
from trainstack.spaces.stopping import heat

# Epochs of a trial that are written to Optuna, rungs aside.
REPORTS = 10
# Heats within this factor count as equal.
SAME_HEAT = 0.8


@dataclass(frozen=True)
class Pruner:
    """A pruner.

    Attributes:
        about: What it is, with its reference.
        rungs: Shares of the plan at which a trial waits for a verdict, rising, in (0, 1).
        keep: The share of the compared trials that goes on, in (0, 1].
        least: Fewer compared trials than this, the trial itself included, decide nothing.
        brackets: Trials take turns to be exempt from the first 0, 1, … `brackets` - 1 rungs.
    """

    about: str
    rungs: tuple[float, ...] = ()
    keep: float = 1.0
    least: int = 2
    brackets: int = 1

    def places(self, planned: int) -> dict[int, float]:
        """Return the rungs of a plan: epoch → share, at most one per epoch and none at the end.

        Where rungs of a short plan fall into one epoch, the first of them counts.
        """
        found: dict[int, float] = {}
        for share in self.rungs:
            epoch = max(1, int(share * planned))
            if epoch < planned:
                found.setdefault(epoch, share)
        return found


@dataclass(frozen=True)
class Seen:
    """What a comparison at a rung knows of a trial.

    Attributes:
        heat: How far its rate is still to come down there (`trainstack.spaces.stopping.heat`).
        loss: Its lowest validation loss up to the rung.
    """

    heat: float
    loss: float


# Rungs and shares by replaying whole curves (docs/training-length.md).
PRUNERS: Mapping[str, Pruner] = {
    "asha": Pruner(
        "asynchronous successive halving: at a third and two thirds of a plan the better half "
        "goes on (Li et al. 2020)",
        rungs=(1 / 3, 2 / 3),
        keep=1 / 2,
        least=5,
    ),
    "hyperband": Pruner(
        "successive halving in three brackets, with two rungs, one and none (Li et al. 2018)",
        rungs=(1 / 3, 2 / 3),
        keep=1 / 3,
        least=3,
        brackets=3,
    ),
    "median": Pruner(
        "ends what is worse than the median at the same share (Golovin et al. 2017)",
        rungs=(0.2, 0.4, 0.6, 0.8),
        keep=1 / 2,
        least=5,
    ),
    "none": Pruner("every trial runs to its end"),
}


def pruner(name: str) -> Pruner:
    """Return a pruner's row.

    Raises:
        RequestError: There is no such pruner.
    """
    row = PRUNERS.get(name)
    if row is None:
        raise RequestError(f"pruner '{name}' is not known", hint=nearest(name, list(PRUNERS)))
    return row


def cut(row: Pruner, mine: Seen, others: Iterable[Seen]) -> bool:
    """Decide whether a trial ends at a rung.

    Args:
        row: The pruner.
        mine: The trial at the rung.
        others: Trials that have reached the same rung.

    Returns:
        True where the trial is not among the best `keep` of those it may be compared with. The
        best of them always goes on.
    """
    fair = [other.loss for other in others if other.heat >= SAME_HEAT * mine.heat]
    compared = len(fair) + 1
    better = sum(loss < mine.loss for loss in fair)
    return compared >= row.least and better >= max(1, int(row.keep * compared))


def seen(stack: Stack, share: float, losses: Mapping[int, float], step: int) -> Seen:
    """Return what a rung knows of a trial that has reached it.

    Args:
        stack: The trial's stack.
        share: The rung, a share of the plan.
        losses: Validation loss per step, as Optuna was given them (`step_of`).
        step: The rung's step.
    """
    return Seen(heat(stack, share), min(loss for at, loss in losses.items() if at <= step))


def step_of(row: Pruner, epoch: int, planned: int, most: int) -> int:
    """Return the step under which Optuna is given an epoch: the epoch of a whole plan.

    Equal steps are equal shares of the plan, so that Optuna's samplers and pictures, too, compare
    like with like. A rung has the same step under every plan.
    """
    share = row.places(planned).get(epoch)
    if share is not None:
        return rung_step(share, most)
    return max(1, round(epoch * most / planned))


def rung_step(share: float, most: int) -> int:
    """Return the step of a rung where a whole plan has `most` epochs."""
    return max(1, int(share * most))


def reported(row: Pruner, planned: int) -> frozenset[int]:
    """Return the epochs that are written to Optuna: the rungs and ten evenly spaced ones."""
    evenly = {max(1, planned * k // REPORTS) for k in range(1, REPORTS + 1)}
    return frozenset(row.places(planned)) | evenly
