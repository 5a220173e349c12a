"""A search trial on several folds: one network for each, and a score that is their mean.

The first folds are trained together, so that a pruner sees their mean. If the stack is then clearly
behind, the others are not trained.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median_low
from typing import Protocol

from trainstack.search.folds import fold_seed
from trainstack.search.records import Measurement, Outcome, Result
from trainstack.search.sampling.fold_racing import first_folds
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.together import train_together
from trainstack.workers.engine.turns import Turns
from trainstack.workers.messages import ABANDONED, INTERRUPTED, Job
from trainstack.workers.tasks.runs import PreparedRun, RunBench, stack_of

# Share of trials that train the folds after the first ones (docs/folds.md).
GOING_ON = 0.4
# Outcomes that the whole trial takes from one of its folds, the first found counts.
_DECISIVE = (ABANDONED, INTERRUPTED, Outcome.DIVERGED, Outcome.PRUNED)


class Monitor(Protocol):
    """To whom a trial reports; every method returns the outcome that ends it, or None."""

    def tell(self, job: Job, measurement: Measurement) -> str | None:
        """Take the mean of an epoch over the first folds; decide at a rung."""
        ...

    def after_first_folds(self, job: Job, values: Sequence[float]) -> str | None:
        """Take the objectives of the first folds; decide whether to train the others."""
        ...

    def alive(self, job: Job) -> str | None:
        """Take note that an epoch of later folds was trained."""
        ...


@dataclass
class JointCurve:
    """The mean over folds of each epoch that all of them have reached.

    A fold that has ended counts with its last epoch.
    """

    job: Job
    monitor: Monitor
    runs: list[PreparedRun] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)

    def after_epoch(self) -> str | None:
        """Report the epochs that are new; return the outcome that ends the folds, or None."""
        trainings = [run.training for run in self.runs]
        if any(t.result and t.result.outcome == Outcome.DIVERGED for t in trainings):
            return Outcome.DIVERGED
        reached = min(len(t.measurements) for t in trainings if t.result is None)
        while len(self.measurements) < reached:
            self._add()
            if (verdict := self.monitor.tell(self.job, self.measurements[-1])) is not None:
                return verdict
        return None

    def whole(self) -> tuple[Measurement, ...]:
        """Return all epochs, up to the last one of any fold."""
        while len(self.measurements) < max(len(run.training.measurements) for run in self.runs):
            self._add()
        return tuple(self.measurements)

    def _add(self) -> None:
        epoch = len(self.measurements) + 1
        curves = [run.training.measurements for run in self.runs]
        at = [curve[min(epoch, len(curve)) - 1] for curve in curves if curve]
        objectives = [m.objective for m in at if m.objective is not None]
        self.measurements.append(
            Measurement(
                epoch,
                fmean([m.train_loss for m in at]),
                fmean([m.valid_loss for m in at]),
                fmean([m.metric for m in at]),
                sum(m.seconds for m in at if m.epoch == epoch),
                fmean(objectives) if objectives else None,
            )
        )


def train_folds(bench: RunBench, job: Job, monitor: Monitor) -> Result:
    """Train a trial's folds.

    Args:
        bench: The bench.
        job: The trial's job, which has a split for each fold.
        monitor: Decides at rungs and after the first folds.

    Returns:
        The trial's result. Its value is the mean over the folds that were trained; its curve is
        that of the first folds, which all trials have, so that curves are comparable.
    """
    began = time.perf_counter()
    first = first_folds(len(job.splits))
    in_bundle = _most(bench, job, len(job.splits) - first) > 1  # its folds after the first ones
    later = 0 if in_bundle else round(GOING_ON * (len(job.splits) - first))
    program, build_seconds = bench.program_of(replace(job, again=first + later))
    folds = [
        replace(job, splits=(split,), seed=fold_seed(job.seed, place))
        for place, split in enumerate(job.splits)
    ]
    curve = JointCurve(job, monitor)
    runs = _trained(bench, program, folds[:first], curve.runs, curve.after_epoch, looks=True)
    outcome, cause = _outcome(runs)
    if outcome == Outcome.COMPLETED and first < len(folds):
        verdict = monitor.after_first_folds(job, _values(runs))
        if verdict is None:
            runs = [*runs, *_later(bench, program, folds[first:], lambda: monitor.alive(job))]
            outcome, cause = _outcome(runs)
        else:
            outcome = verdict
            cause = f"behind on the first {first} folds" if verdict == Outcome.PRUNED else None
    if outcome not in (INTERRUPTED, ABANDONED):
        for run in runs:
            if run.training.shelf:
                run.training.shelf.drop()
    values = _values(runs)
    best = [run.training.best.epoch for run in runs if run.training.best]
    result = Result(
        outcome,
        value=fmean(values) if values and outcome != Outcome.DIVERGED else None,
        best_epoch=median_low(best) if best else 0,
        measurements=curve.whole(),
        cause=cause,
    )
    return bench.joint_result(job, runs, result, build_seconds, began)


def _later(
    bench: RunBench, program: Program, folds: Sequence[Job], after_epoch: Callable[[], str | None]
) -> list[PreparedRun]:
    """Train the folds after the first ones, as many at once as pay, until one does not complete."""
    runs: list[PreparedRun] = []
    most = _most(bench, folds[0], len(folds))
    for start in range(0, len(folds), most):
        runs += _trained(bench, program, folds[start : start + most], [], after_epoch)
        if _outcome(runs)[0] != Outcome.COMPLETED:
            break
    return runs


def _trained(
    bench: RunBench,
    program: Program,
    folds: Sequence[Job],
    runs: list[PreparedRun],
    after_epoch: Callable[[], str | None],
    looks: bool = False,
) -> list[PreparedRun]:
    """Train folds together, in a bundle if that pays; add them to `runs` before they start.

    With `looks`, statistics of the layers are those of the first of them.
    """
    count, stack = len(folds), stack_of(folds[0])
    if 1 < count <= _most(bench, folds[0], count):
        _, data = bench.split(folds[0].split, stack, folds[0].condition)
        group = bench.bundle(program, stack, count, data, folds[0].epochs)
    else:
        group = Turns(program, count)
    for place, fold in enumerate(folds):
        run = bench.prepare(fold, program, looks=looks and place == 0)
        run.training.stays = True  # the trial ends with its last fold
        group.load(place)
        runs.append(run)
    train_together(
        group,
        [run.training for run in runs],
        [run.data for run in runs],
        [lambda measurement: None] * len(runs),
        after_epoch=after_epoch,
    )
    return runs


def _most(bench: RunBench, fold: Job, networks: int) -> int:
    """Return how many of some folds like one to train at once."""
    stack = stack_of(fold)
    _, data = bench.split(fold.split, stack, fold.condition)
    return bench.most_networks(stack, data, fold.epochs, networks)


def _outcome(runs: Sequence[PreparedRun]) -> tuple[str, str | None]:
    """Return the outcome of a trial with these folds, and its cause."""
    results = [run.training.result for run in runs]
    for outcome in _DECISIVE:
        found = [r for r in results if r is not None and r.outcome == outcome]
        if found:
            return outcome, next((r.cause for r in found if r.cause), None)
    return Outcome.COMPLETED, None


def _values(runs: Sequence[PreparedRun]) -> list[float]:
    """Return the objective of each fold's best epoch."""
    return [run.training.best.minimized for run in runs if run.training.best]
