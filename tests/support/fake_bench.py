"""A bench that trains nothing: canned curves and injected faults.

A trainer runs this file instead of the engine if `fake` is in its environment.
"""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from trainstack.workers.tasks.fold_trial import Monitor


from trainstack.search.records import CONFIRMATION, Measurement, Outcome, Result
from trainstack.search.sampling.fold_racing import first_folds
from trainstack.workers.messages import Job
from trainstack.workers.runtime.trainer import BENCH

# Environment variable with a document of `Canned`'s fields.
CANNED = "TRAINSTACK_TEST_CANNED"


def fake(**canned: Any) -> dict[str, str]:
    """Return the environment of workers that train with this file.

    They neither load data nor import TensorFlow.

    Args:
        **canned: Fields of `Canned`.
    """
    return {BENCH: __file__, CANNED: json.dumps(canned)}


def pretend(monkeypatch: pytest.MonkeyPatch, **canned: Any) -> None:
    """Let workers that this process starts train with this file."""
    for name, value in fake(**canned).items():
        monkeypatch.setenv(name, value)


def bench() -> FakeBench:
    """Return the bench that the environment describes."""
    return FakeBench(Canned(**json.loads(os.environ[CANNED])))


@dataclass(frozen=True)
class Canned:
    """Behaviour of the fake bench.

    Attributes:
        epoch_seconds: Duration of an epoch.
        fault: Fault in `fault_epoch`: `fail` (an exception), `memory` (a MemoryError),
            `hang`, `die` (killed by a signal); empty: none.
        fault_epoch: Epoch of the fault, from 1.
        once: Path of a file: only the trial that creates it has the fault. Empty: every trial has.
        hold: Path of a file: no epoch ends before it exists. Empty: epochs do not wait.
        hold_folds: Path of a file: no fold after the first ones ends before it exists.
        worn_after: Trials after which the trainer asks to be replaced; 0: never.
        room: Number of confirmation runs that can be trained together with another one.
    """

    epoch_seconds: float = 0.0
    fault: str = ""
    fault_epoch: int = 1
    once: str = ""
    hold: str = ""
    hold_folds: str = ""
    worn_after: int = 0
    room: int = 0


class FakeBench:
    """Stand-in for `trainstack.workers.tasks.jobs.JobBench`, with the same interface."""

    device = "fake"

    def __init__(self, canned: Canned) -> None:
        self.canned, self.trained = canned, 0

    def room(self, job: Job) -> int:
        """Return the canned room, for confirmation runs."""
        return self.canned.room if job.kind == CONFIRMATION else 0

    def train_bundle(
        self, jobs: Sequence[Job], judge: Callable[[Job, Measurement], str | None]
    ) -> list[Result]:
        """Train one after the other."""
        return [self.train(job, partial(judge, job)) for job in jobs]

    def refit(self, job: Job) -> Result:
        """Take the time of an epoch."""
        time.sleep(self.canned.epoch_seconds)
        return Result(Outcome.COMPLETED)

    def train_folds(self, job: Job, monitor: Monitor) -> Result:
        """Follow the stack's curve on the first folds; each fold is a little harder than the last.

        The order of reports is that of `trainstack.workers.tasks.fold_trial.train_folds`.
        """
        found = self.train(job, partial(monitor.tell, job))
        assert found.value is not None
        values = [found.value + place / 100 for place in range(len(job.splits))]
        trained = first_folds(len(values))
        outcome = found.outcome
        if outcome == Outcome.COMPLETED and trained < len(values):
            verdict = monitor.after_first_folds(job, values[:trained]) or self._later(job, monitor)
            outcome, trained = (verdict, trained) if verdict else (outcome, len(values))
        folds = values[:trained]
        return replace(found, outcome=outcome, value=fmean(folds), payload={"folds": folds})

    def _later(self, job: Job, monitor: Monitor) -> str | None:
        held = self.canned.hold_folds
        while held and not Path(held).exists():
            time.sleep(0.02)
            if (verdict := monitor.alive(job)) is not None:
                return verdict
        return monitor.alive(job)

    def train(self, job: Job, judge: Callable[[Measurement], str | None]) -> Result:
        """Follow a curve that depends on the stack alone and falls towards its floor."""
        assert job.stack is not None
        self.trained += 1
        floor = 0.2 + int(job.stack.stack_id, 16) % 1000 / 1000
        measurements, outcome = [], "completed"
        for epoch in range(1, job.epochs + 1):
            time.sleep(self.canned.epoch_seconds)
            while self.canned.hold and not Path(self.canned.hold).exists():
                time.sleep(0.02)
            self._fault(epoch)
            loss = floor + math.exp(-epoch / 3)
            measurements.append(Measurement(epoch, loss, loss, 1 / (1 + loss), 0.0))
            if (verdict := judge(measurements[-1])) is not None:
                outcome = verdict
                break
        last = measurements[-1]
        metrics = {"accuracy": last.metric, "parameters": 1000.0}
        if job.split.fold is not None:
            metrics |= {"split_seed": float(job.split.seed), "fold": float(job.split.fold)}
        return Result(outcome, last.valid_loss, last.epoch, tuple(measurements), metrics)

    @property
    def worn(self) -> bool:
        """True after `worn_after` trials."""
        return 0 < self.canned.worn_after <= self.trained

    def _fault(self, epoch: int) -> None:
        if not self.canned.fault or epoch != self.canned.fault_epoch or not self._first():
            return
        if self.canned.fault == "fail":
            raise RuntimeError("canned failure")
        if self.canned.fault == "memory":
            raise MemoryError("canned")
        if self.canned.fault == "hang":
            signal.pause()
        os.kill(os.getpid(), signal.SIGKILL)

    def _first(self) -> bool:
        if not self.canned.once:
            return True
        try:
            Path(self.canned.once).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def measure(self, job: Job) -> Result:
        """Return a canned measurement."""
        return Result("completed", payload={"fake": True})

    @staticmethod
    def out_of_memory(error: Exception) -> bool:
        """Return whether the error means that memory ran out."""
        return isinstance(error, MemoryError)
