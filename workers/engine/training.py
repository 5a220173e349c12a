"""Training one trial: epochs, early stopping with the best weights restored, divergence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from trainstack.search.records import Measurement, Outcome, Result
from trainstack.spaces.stack import Stack
from trainstack.spaces.stopping import stopping_of
from trainstack.workers.engine.checkpoint import Checkpoint, Shelf
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.epoch import EpochPlan, EpochResult
from trainstack.workers.engine.place import Place
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.rates import RateMaker
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.messages import ABANDONED, INTERRUPTED

# A loss above this multiple of an untrained network's counts as diverged, unless it is falling.
DIVERGED_TIMES = 10.0


class EndedError(Exception):
    """Thrown into a training that is to end before its next epoch, with this outcome."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


# Takes each measurement; returns None to continue, or the outcome that ends the trial.
Judge = Callable[[Measurement], str | None]


@dataclass
class Training:
    """A running trial, with all state that is needed to resume it.

    Attributes:
        program: The structure's program, reset for this trial; or a place in a bundle of networks
            that are trained at once.
        stack: Stack to train.
        seed: Seed of weights, batch order and masks.
        epochs: Maximum epochs of the study, of which the stack plans a share.
        untrained_loss: Loss of a network that has learnt nothing.
        metric_scale: Unit of the program's metric; of several quantities one each, [T].
        shelf: Place of the checkpoint; None: none is kept.
        stays: Whether the checkpoint stays when the training ends, for one of several that end as
            one.
        objective: Returns the number to minimize of an epoch; None: the validation loss.
        start: Returns the initial state, with epochs that count as trained; None: fresh weights.
        lowered_after: Epochs after which performance scheduling has lowered the rate.
        result: Its result, once it has ended.
    """

    program: Program | Place
    stack: Stack
    seed: int
    epochs: int
    untrained_loss: float
    metric_scale: Any = 1.0
    shelf: Shelf | None = None
    stays: bool = False
    objective: Callable[[EpochResult], float] | None = None
    start: Callable[[], Checkpoint] | None = None
    measurements: list[Measurement] = field(default_factory=list)
    best: Measurement | None = None
    best_weights: list[np.ndarray] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0})
    lowered_after: list[int] = field(default_factory=list)
    result: Result | None = None

    def run(self, data: DeviceData | StreamedData, judge: Judge) -> Result:
        """Train to the end, to an early stop, or until the judge ends the trial.

        The epochs of an earlier attempt's checkpoint are replayed without training, so that the
        judge, the schedule and early stopping see the same measurements.

        Returns:
            `completed` (the model then holds the best weights), `diverged`, or the judge's
            outcome.
        """
        program = cast(Program, self.program)
        epochs = self.epochs_of(data.rows[0], judge)
        try:
            plan = next(epochs)
            while True:
                plan = epochs.send(program.epoch(self.stack, data, *plan.arguments))
        except StopIteration as ended:
            return ended.value

    def epochs_of(self, rows: int, judge: Judge) -> Generator[EpochPlan, EpochResult, Result]:
        """Yield the plan of each epoch, receive its result, and return the trial's.

        As `run`, whatever trains the epochs.

        Args:
            rows: Number of training rows.
            judge: As in `run`.
        """
        batch = min(self.stack["batch_size"], rows)
        steps = rows // batch
        planned = self.stack.planned_epochs(self.epochs)
        stack = self.program.completed(self.stack)
        maker = RateMaker(stack, steps, planned, lowered_after=self.lowered_after)
        stopping = stopping_of(self.stack, planned)
        outcome, cause = Outcome.COMPLETED, None
        known = self._resumed()
        for epoch in range(1, planned + 1):
            trained = epoch > len(known)
            if trained:
                order = batch_order(self.seed, epoch, rows, steps, batch)
                key = epoch_key(self.seed, epoch)
                try:
                    result = yield maker.plan(epoch, order, key)
                except EndedError as ended:
                    outcome = ended.outcome
                    break
                measurement = self._measured(epoch, result)
            else:
                measurement = known[epoch - 1]
            if cause := self._divergence(measurement, hot=epoch <= stopping.from_epoch):
                outcome = Outcome.DIVERGED
                break
            self.measurements.append(measurement)
            maker.saw(measurement.valid_loss)
            if self.best is None or measurement.minimized < self.best.minimized:
                self.best = measurement
                if trained:
                    self.best_weights = self.program.measured()
            if (verdict := judge(measurement)) is not None:
                outcome = verdict
                break
            if stopping.ends(epoch, self.best.epoch):
                break
            if trained and self.shelf and self.shelf.due():
                self.shelf.save(self._checkpoint())
        if outcome == Outcome.COMPLETED and (cause := self._never_trained()):
            outcome = Outcome.DIVERGED
        self._leave(outcome, len(known))
        if self.best_weights:
            self.program.set_weights(self.best_weights)
        self.result = self._result(outcome, cause)
        return self.result

    @property
    def epochs_left(self) -> int:
        """Number of planned epochs that are not trained yet."""
        return self.stack.planned_epochs(self.epochs) - len(self.measurements)

    def _resumed(self) -> tuple[Measurement, ...]:
        """Restore an earlier attempt's checkpoint or the given start; return its epochs."""
        checkpoint = self.shelf.load() if self.shelf else None
        if checkpoint is None and self.start is not None:
            checkpoint = self.start()
        if checkpoint is None:
            return ()
        self.program.set_weights(checkpoint.weights)
        self.program.set_slots(checkpoint.slots)
        self.best_weights = checkpoint.best
        self.seconds["train"] = sum(measured.seconds for measured in checkpoint.measurements)
        return checkpoint.measurements

    def _checkpoint(self) -> Checkpoint:
        now = self.program.weights(), self.program.slots()
        return Checkpoint(tuple(self.measurements), *now, self.best_weights)

    def _leave(self, outcome: str, known_epochs: int) -> None:
        """Save the checkpoint of an interrupted trial; drop that of one that ended."""
        if self.shelf is None or outcome == ABANDONED:
            return
        if outcome != INTERRUPTED and not self.stays:
            self.shelf.drop()
        elif len(self.measurements) > known_epochs:
            self.shelf.save(self._checkpoint())

    def _measured(self, epoch: int, result: EpochResult) -> Measurement:
        """Return the measurement of an epoch; the objective's time counts as the epoch's."""
        began = time.perf_counter()
        objective = self.objective(result) if self.objective else None
        seconds = result.seconds + time.perf_counter() - began
        if result.fresh:  # includes the epoch's training time
            self.seconds["compile"] = seconds
        else:
            self.seconds["train"] += seconds
        metric = float(np.mean(result.metric * self.metric_scale))
        losses = result.train_loss, result.valid_loss
        return Measurement(epoch, *losses, metric, seconds, objective)

    def _divergence(self, m: Measurement, hot: bool) -> str | None:
        """Return the reason why the trial has diverged, or None.

        A finite loss is judged by its trend, and only after the schedule has lowered its rate: the
        loss of a slow start still falls, and a high rate's may fall later in the plan.
        """
        if not (math.isfinite(m.train_loss) and math.isfinite(m.valid_loss)):
            return f"loss not finite in epoch {m.epoch}"
        if not math.isfinite(m.minimized):
            return f"metric not finite in epoch {m.epoch}"
        earlier = min((e.train_loss for e in self.measurements), default=math.inf)
        if hot or m.train_loss < earlier or min(m.train_loss, m.valid_loss) <= self._limit:
            return None
        return (
            f"training and validation loss above {DIVERGED_TIMES:g} times an untrained network's "
            f"in epoch {m.epoch}, and not falling"
        )

    def _never_trained(self) -> str | None:
        """Return a cause if no epoch's loss came near an untrained network's, or None."""
        lowest = min((m.valid_loss for m in self.measurements), default=0.0)
        if lowest <= self._limit:
            return None
        return f"validation loss above {DIVERGED_TIMES:g} times an untrained network's to the end"

    @property
    def _limit(self) -> float:
        return DIVERGED_TIMES * self.untrained_loss

    def _result(self, outcome: str, cause: str | None) -> Result:
        best = self.best
        return Result(
            outcome=outcome,
            value=best.minimized if best and outcome != Outcome.DIVERGED else None,
            best_epoch=best.epoch if best else 0,
            measurements=tuple(self.measurements),
            seconds=dict(self.seconds),
            cause=cause,
        )


def batch_order(seed: int, epoch: int, rows: int, steps: int, batch: int) -> np.ndarray:
    """Return the rows of each batch of an epoch, int32 [steps, batch].

    Each epoch has a new permutation; rows beyond the last full batch are skipped.
    """
    order = np.random.default_rng([seed, 1, epoch]).permutation(rows)
    return order[: steps * batch].reshape(steps, batch).astype(np.int32)


def epoch_key(seed: int, epoch: int) -> int:
    """Return the random key of an epoch's masks, 0 ≤ key < 2³²."""
    return int(np.random.default_rng([seed, 2, epoch]).integers(2**32))
