"""The table of pruners, which end trials early at rungs, based on their curves.

A rung is a share of each trial's own plan, so that plans of different lengths are comparable. A
trial is compared only with trials whose learning rate has at least as far to decrease: the loss at
a high rate says little about the end of the plan, and a trial at a lower rate would look better for
that reason only. Pure functions; Optuna's own pruners do not know schedules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trainstack.spaces.errors import RequestError, nearest
from trainstack.spaces.stack import Stack
from trainstack.spaces.stopping import heat

# Number of epochs per trial that are written to Optuna, besides rungs.
REPORTS = 10
# Heats within this factor count as equal.
SAME_HEAT = 0.8


@dataclass(frozen=True)
class Pruner:
    """A pruner.

    Attributes:
        about: Description with reference.
        rungs: Rising shares of the plan, in (0, 1), at which a trial waits for a decision.
        keep: Share of the compared trials that continue, in (0, 1].
        least: Least number of compared trials, including the trial itself, for a decision.
        brackets: Trials are exempt in rotation from the first 0, 1, … `brackets` - 1 rungs.
    """

    about: str
    rungs: tuple[float, ...] = ()
    keep: float = 1.0
    least: int = 2
    brackets: int = 1

    def places(self, planned: int) -> dict[int, float]:
        """Return the rungs of a plan: epoch → share, at most one per epoch and none at the end.

        If several rungs of a short plan fall on one epoch, the first of them counts.
        """
        found: dict[int, float] = {}
        for share in self.rungs:
            epoch = max(1, int(share * planned))
            if epoch < planned:
                found.setdefault(epoch, share)
        return found


@dataclass(frozen=True)
class Seen:
    """A trial's state at a rung, for comparison.

    Attributes:
        heat: Remaining decrease of the learning rate (`trainstack.spaces.stopping.heat`).
        loss: Lowest validation loss up to the rung.
    """

    heat: float
    loss: float


# Rungs and shares were chosen by replaying whole curves (docs/training-length.md).
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
    """Return the pruner of a name.

    Raises:
        RequestError: There is no such pruner.
    """
    row = PRUNERS.get(name)
    if row is None:
        raise RequestError(f"pruner '{name}' is not known", hint=nearest(name, list(PRUNERS)))
    return row


def cut(row: Pruner, mine: Seen, others: Iterable[Seen]) -> bool:
    """Return whether to prune a trial at a rung.

    Args:
        row: The pruner.
        mine: The trial at the rung.
        others: Trials that have reached the same rung.

    Returns:
        True if the trial is not among the best `keep` of the comparable trials. The best of them
        always continues.
    """
    fair = [other.loss for other in others if other.heat >= SAME_HEAT * mine.heat]
    compared = len(fair) + 1
    better = sum(loss < mine.loss for loss in fair)
    return compared >= row.least and better >= max(1, int(row.keep * compared))


def seen(row: Pruner, stack: Stack, share: float, curve: Sequence[float], most: int) -> Seen | None:
    """Return the state of a trial at a rung; None if it has not reached it.

    Args:
        row: The pruner.
        stack: The trial's stack.
        share: The rung, as a share of the plan.
        curve: Validation loss per epoch.
        most: Most epochs of a plan.
    """
    places = row.places(stack.planned_epochs(most))
    epoch = next((epoch for epoch, rung in places.items() if rung == share), None)
    if epoch is None or len(curve) < epoch:
        return None
    return Seen(heat(stack, share), min(curve[:epoch]))


def step_of(row: Pruner, epoch: int, planned: int, most: int) -> int:
    """Return the step for an epoch in Optuna's tables: the epoch scaled to a whole plan.

    Equal steps are equal shares of the plan, so that trials are comparable in Optuna's samplers
    and plots. A rung has the same step in every plan.
    """
    share = row.places(planned).get(epoch)
    if share is not None:
        return rung_step(share, most)
    return max(1, round(epoch * most / planned))


def rung_step(share: float, most: int) -> int:
    """Return the step of a rung, for a whole plan of `most` epochs."""
    return max(1, int(share * most))


def reported(row: Pruner, planned: int) -> frozenset[int]:
    """Return the epochs that are written to Optuna: the rungs and ten evenly spaced ones."""
    evenly = {max(1, planned * k // REPORTS) for k in range(1, REPORTS + 1)}
    return frozenset(row.places(planned)) | evenly
