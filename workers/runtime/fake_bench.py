"""A bench that trains nothing: canned curves, and faults on demand, for tests and measurements."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trainstack.search.records import Measurement, Result
from trainstack.workers.messages import Job

# Names the environment variable with a document of `Canned`'s fields: a worker that has it
# trains by this module, and neither loads data nor imports TensorFlow.
FAKE = "TRAINSTACK_FAKE"


@dataclass(frozen=True)
class Canned:
    """What the fake does.

    Attributes:
        epoch_seconds: How long an epoch takes.
        fault: What happens in `fault_epoch`: `fail` (an exception), `memory` (a MemoryError),
            `hang`, `die` (killed by a signal); empty: nothing.
        fault_epoch: In which epoch, from 1.
        once: A file: only whoever creates it has the fault. Empty: every trial has.
        hold: A file: no epoch ends before it is there. Empty: none is waited for.
        worn_after: Trials after which the trainer asks to be replaced; 0: never.
    """

    epoch_seconds: float = 0.0
    fault: str = ""
    fault_epoch: int = 1
    once: str = ""
    hold: str = ""
    worn_after: int = 0


class FakeBench:
    """Does what `trainstack.workers.tasks.jobs.JobBench` does, as seen from its trainer."""

    device = "fake"

    def __init__(self, document: str) -> None:
        self.canned = Canned(**json.loads(document))
        self.trained = 0

    def train(self, job: Job, judge: Callable[[Measurement], str | None]) -> Result:
        """Follow a curve that only the stack decides: it falls by the epoch towards its floor."""
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
        return Result(outcome, last.valid_loss, last.epoch, tuple(measurements), metrics)

    @property
    def worn(self) -> bool:
        """True after as many trials as the document says."""
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
        """Say that the test set was looked at."""
        return Result("completed", payload={"fake": True})

    @staticmethod
    def out_of_memory(error: Exception) -> bool:
        """Tell whether memory did not suffice."""
        return isinstance(error, MemoryError)
