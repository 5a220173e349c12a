"""The trainer: a long-lived child process that owns TensorFlow, the data and the programs."""

from __future__ import annotations

import contextlib
import gc
import logging
import multiprocessing
import os
import runpy
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, Protocol

from trainstack.search.processes import unblock_interrupts
from trainstack.search.records import MEASUREMENT, REFIT, Measurement, Outcome, Result
from trainstack.spaces.errors import TrainstackError
from trainstack.workers.engine.keras_settings import OPTIONAL, absent, hushed, set_keras
from trainstack.workers.messages import (
    OUT_OF_MEMORY,
    Alive,
    Done,
    FirstFolds,
    Job,
    Measured,
    MoreJobs,
    Ready,
    Refused,
    Room,
    Setup,
    Verdict,
)

log = logging.getLogger("trainstack.trainer")

# Environment variable with the path of a Python file whose function `bench` replaces the engine, so
# that a fleet can be tested without training.
BENCH = "TRAINSTACK_BENCH"
PIPE_ENDED = (EOFError, BrokenPipeError, ConnectionResetError)
# Timeout of a rung's verdict: training never waits for an unavailable database.
VERDICT_SECONDS = 5.0


class Bench(Protocol):
    """What a trainer runs its jobs on: `trainstack.workers.tasks.jobs.JobBench`."""

    progressed: Callable[[], None]

    @property
    def device(self) -> str: ...
    @property
    def worn(self) -> bool: ...
    def room(self, job: Job) -> int: ...
    def train(self, job: Job, judge: Callable[[Measurement], str | None]) -> Result: ...
    def train_folds(self, job: Job, monitor: Line) -> Result: ...
    def train_bundle(
        self, jobs: Sequence[Job], judge: Callable[[Job, Measurement], str | None]
    ) -> list[Result]: ...
    def measure(self, job: Job) -> Result: ...
    def refit(self, job: Job) -> Result: ...
    def out_of_memory(self, error: Exception) -> bool: ...


def main(connection: Connection) -> None:
    """Serve jobs until the pipe closes (entry point of the child process)."""
    # Ctrl-C reaches every process of the terminal; the supervisor decides about the trial.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    unblock_interrupts()
    _end_with_parent()
    # A closed pipe means that the supervisor has ended.
    with contextlib.suppress(*PIPE_ENDED):
        serve(connection)
    # Nothing is left to write, and TensorFlow takes seconds to shut down.
    os._exit(0)


def _end_with_parent() -> None:
    """Exit when the supervisor does, even within an epoch: the result could not be reported."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def serve(connection: Connection) -> None:
    """Load the data of the study that arrives first, report readiness, and run its jobs."""
    make = _engine()  # seconds, in which the supervisor finds the study
    if (setup := connection.recv()) is None:
        return
    try:
        bench = make(setup)
    except TrainstackError as error:
        connection.send(Refused(str(error), error.exit_code))
        return
    # These objects stay: the garbage collector need not scan TensorFlow's modules each time.
    gc.freeze()
    connection.send(Ready(bench.device))
    line = Line(connection)
    while True:
        message = connection.recv()
        if message is None:
            return
        if isinstance(message, Job):
            for job, result in _work(line, bench, message):
                connection.send(Done(job.token, result, bench.worn))


def _engine() -> Callable[[Setup], Bench]:
    """Import the engine; return the function that makes a study's bench."""
    if substitute := os.environ.get(BENCH):
        return lambda setup: runpy.run_path(substitute)["bench"]()
    # Before a library loads OpenMP. Gradient boosting's threads meet after every small loop; those
    # that wait actively take the cores of the others: 26 s instead of 0.4 s of processor time for
    # 114 rows on two busy cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    gc.disable()  # collections take a seventh of the imports' time and find next to nothing
    with hushed(), absent(*OPTIONAL):
        set_keras()  # imports TensorFlow, seconds
        from trainstack.workers.tasks.jobs import JobBench
    gc.enable()
    gc.set_threshold(100_000)  # as in the command: tracing a program creates little garbage
    gc.freeze()  # what was imported stays; each later collection would look through all of it
    # TensorFlow warns of every newly traced structure, which is normal in a search.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return lambda setup: JobBench(setup.spec, setup.threads, setup.artifacts, setup.memory_mb)


def _work(line: Line, bench: Bench, job: Job) -> Iterator[tuple[Job, Result]]:
    """Run a job, together with others of its structure if the bench has room for them."""
    bench.progressed = lambda: line.report_alive(job)
    room = bench.room(job)
    jobs = (job, *line.more_jobs(job, room)) if room else (job,)
    if len(jobs) > 1:
        try:
            results = bench.train_bundle(jobs, line.tell)
        except PIPE_ENDED:
            raise
        except Exception:
            # One network's failure is not the others': each shows its own when trained alone.
            log.warning("training %d networks at once failed", len(jobs), exc_info=True)
        else:
            yield from zip(jobs, results, strict=True)
            return
    for one in jobs:
        yield one, _run(line, bench, one)


def _run(line: Line, bench: Bench, job: Job) -> Result:
    """Run one job; an exception gives a failed result, with a traceback only for a bug."""
    began = time.perf_counter()
    try:
        if job.kind == MEASUREMENT:
            return bench.measure(job)
        if job.kind == REFIT:
            return bench.refit(job)
        if len(job.splits) > 1:
            return bench.train_folds(job, line)
        return bench.train(job, lambda m: line.tell(job, m))
    except PIPE_ENDED:
        raise
    except Exception as error:
        seconds = {"total": time.perf_counter() - began}
        if bench.out_of_memory(error):
            what = str(error).splitlines()[:1]
            cause = f"out of memory on the {bench.device}: {' '.join(what)}"[:300]
            return Result(OUT_OF_MEMORY, cause=cause, seconds=seconds)
        known = isinstance(error, TrainstackError)
        cause = str(error) if known else traceback.format_exc()
        return Result(Outcome.FAILED, cause=cause, seconds=seconds)


class Line:
    """The trainer's end of the pipe, while it runs jobs.

    Raises (every method):
        EOFError, ConnectionError: The supervisor has ended.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Outcomes by token of jobs that are to end, until `tell` returns them.
        self._ended: dict[str, str] = {}

    def more_jobs(self, job: Job, most: int) -> tuple[Job, ...]:
        """Ask for at most `most` jobs of the same structure.

        The supervisor answers at once, with none if the database is unavailable.
        """
        self._connection.send(Room(job.token, most))
        while not isinstance(message := self._receive(), MoreJobs):
            self._note(message)
        return message.jobs

    def tell(self, job: Job, measurement: Measurement) -> str | None:
        """Send a measurement; return the outcome that ends the trial, or None to continue."""
        waits = measurement.epoch in job.rungs
        self._connection.send(Measured(job.token, measurement, waits))
        return self._verdict(job, measurement.epoch, VERDICT_SECONDS if waits else 0.0)

    def after_first_folds(self, job: Job, values: Sequence[float]) -> str | None:
        """Send the objectives of a trial's first folds; return the outcome that ends it, or None.

        As after a rung, training goes on if the supervisor does not answer in time.
        """
        self._connection.send(FirstFolds(job.token, tuple(values)))
        return self._verdict(job, 0, VERDICT_SECONDS)

    def alive(self, job: Job) -> str | None:
        """Send that training goes on; return the outcome that ends the trial, or None."""
        self.report_alive(job)
        return self._verdict(job, 0, 0.0)

    def report_alive(self, job: Job) -> None:
        """Send that training goes on, without asking for a verdict."""
        self._connection.send(Alive(job.token))

    def _verdict(self, job: Job, epoch: int, seconds: float) -> str | None:
        """Wait for the verdict on a job at an epoch; return None if there is none in time."""
        until = time.monotonic() + seconds
        while job.token not in self._ended:
            if not self._connection.poll(max(0.0, until - time.monotonic())):
                return None
            message = self._receive()
            self._note(message)
            # A late "continue" for an earlier rung is ignored; a late end of the trial is not.
            mine = isinstance(message, Verdict) and message.token == job.token
            if mine and message.outcome is None and message.epoch == epoch:
                return None
        return self._ended.pop(job.token)

    def _receive(self) -> Any:
        message = self._connection.recv()
        if message is None:
            raise EOFError
        return message

    def _note(self, message: Any) -> None:
        if isinstance(message, Verdict) and message.outcome is not None:
            self._ended[message.token] = message.outcome
