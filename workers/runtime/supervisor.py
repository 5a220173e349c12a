"""The supervisor: lease, heartbeat, database and signals. It never imports TensorFlow.

One loop handles messages from the trainer and timed tasks. All database writes go through an
ordered outbox, so an unavailable database stops neither the loop nor the training.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainstack.search.processes import ECHO_SECONDS
from trainstack.search.records import Outcome, Result
from trainstack.search.studies.worker_client import (
    INTERRUPTED,
    HeartbeatReply,
    Lease,
    WorkerClient,
)
from trainstack.spaces.errors import RequestError, StorageAwayError, of_exit_code
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.structure import shaping_items
from trainstack.workers.messages import (
    OUT_OF_MEMORY,
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
    job_of,
)
from trainstack.workers.runtime.held_trials import HeldTrials
from trainstack.workers.runtime.limits import (
    CHECKPOINT_SECONDS,
    IDLE_SECONDS,
    MOST_FAILURES_IN_A_ROW,
    MOST_IDLE_SECONDS,
    STALL_EPOCHS,
    TICK_SECONDS,
    Limits,
)
from trainstack.workers.runtime.trainer_process import Child, Died, Woken

log = logging.getLogger("trainstack.worker")


@dataclass
class Supervisor:
    """One worker: a client, a trainer, and the trials that it holds.

    Attributes:
        client: The worker's connection to the study.
        setup: What the trainers serve.
        child: The first trainer.
        start: Starts another trainer.
        limits: Limits at which to stop.
    """

    client: WorkerClient
    setup: Setup
    child: Child
    start: Callable[[], Child]
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.ready = False
        self.without_trainer = False  # given up while leaving, and not replaced
        self.held = HeldTrials(self.client, self.limits.away_seconds, self._tell)
        self.outbox = self.held.outbox
        self.done = 0
        self.spoilt: dict[int, str] = {}  # tasks that failed here since the last success
        # Time of the request to leave, and time by which to be gone; 0: no request
        self.leave_requested_at = self.leaving = 0.0
        self.at_once = self.asked = False
        self.state, self.reply = "", HeartbeatReply.GO_ON
        self.last_message_at = time.monotonic()
        self.heartbeat_at = 0.0
        self.longest_epoch = 0.0
        self.idle_until = self.idle = 0.0

    def leave_soon(self, drain_seconds: float | None = None) -> None:
        """Take no more trials and leave; a second call gives the trial back at once.

        Safe in a signal handler.

        Args:
            drain_seconds: Time that the running trial has to finish; by default that of the limits.
        """
        now = time.monotonic()
        if not self.leaving:
            drain = self.limits.drain_seconds if drain_seconds is None else drain_seconds
            self.leave_requested_at, self.leaving = now, now + drain
        elif now - self.leave_requested_at > ECHO_SECONDS:
            self.at_once = True
        self.child.wake()

    def run(self) -> None:
        """Work until the study is over, a limit is reached, or the worker is asked to leave.

        Raises:
            RequestError: The data here is not the study's, or every trial fails here.
            StorageAwayError: The database has been unavailable for too long, or the artifact store
                was unavailable when the data was to be fetched from there.
        """
        self.child.send(self.setup)
        try:
            while not self._over():
                self._serve()
        finally:
            self._leave()

    def _over(self) -> bool:
        if self.at_once:
            return True
        if self.leaving:
            idle = not (self.held or self.outbox)
            return idle or time.monotonic() >= self.leaving
        if self.held or self.outbox:
            return False
        return self.state == "concluded" or self.reply is HeartbeatReply.CANCEL or self._enough()

    def _leave(self) -> None:
        """Give back what is held if the database answers; otherwise the leases expire."""
        if not self.held and not self.at_once:
            self.child.leave()
        self.child.kill()
        with contextlib.suppress(StorageAwayError):
            self.held.give_all_back(INTERRUPTED)
            self.held.deliver()
        try:
            self.client.leave()
        except StorageAwayError as error:
            log.warning("left without signing off: %s", error)

    def _serve(self) -> None:
        """Run the loop once: timed tasks, the next job, the trainer's next message."""
        self._keep_in_touch()
        if self.ready and not (self.held or self.outbox or self.leaving):
            self._take_next()
        try:
            message = self.child.news.get(timeout=self._patience())
        except queue.Empty:
            self._check_progress()
            return
        if not isinstance(message, Woken):
            self.last_message_at = time.monotonic()
            self._handle(message)

    def _patience(self) -> float:
        if self.ready and not (self.held or self.leaving):
            until = self.idle_until
        else:
            until = self.leaving or math.inf
        tick = min(TICK_SECONDS, self.client.heartbeat_seconds)
        return max(0.01, min(tick, until - time.monotonic()))

    # Messages from the trainer.

    def _handle(self, message: Any) -> None:
        match message:
            case Ready():
                self.ready = True
            case Refused(error=error, exit_code=code):
                raise of_exit_code(code, error)
            case Died(exit_code=code) if not self.without_trainer:
                self._replace_trainer(f"its trainer died (exit code {code})")
            case Room(token=token, most=most):
                self._tell(MoreJobs(token, self._more_jobs(token, most)))
            case Measured(token=token) if token in self.held:
                self._measured(message)
            case FirstFolds(token=token, values=values) if token in self.held:
                self._first_folds(token, values)
            case Done(token=token, result=result, worn=worn) if token in self.held:
                self._finished(token, result)
                if worn and self.ready and not self.held:
                    self._replace_trainer("much was built, and not all of its memory is given back")
            case _:
                pass  # about a trial that this worker no longer holds

    def _tell(self, message: Verdict | MoreJobs) -> None:
        self.child.send(message)

    def _more_jobs(self, token: str, most: int) -> tuple[Job, ...]:
        """Claim jobs that the trainer can train together with one that it has."""
        if self.limits.most_trials is not None:
            most = min(most, self.limits.most_trials - self.done - len(self.held.leases()))
        if token not in self.held or self.leaving or most < 1:
            return ()
        lease = self.held.lease(token)
        leases = self.outbox.reach(lambda: self.client.claim_alike(lease, most, _alike), [])
        self.held.take(leases)
        return tuple(job_of(self.client.spec, more) for more in leases)

    def _measured(self, message: Measured) -> None:
        epoch = message.measurement.epoch
        self.held.measured(message)
        self.longest_epoch = max(self.longest_epoch, message.measurement.seconds)
        if message.waits:
            self._judge(message.token, epoch, lambda lease: self.client.verdict(lease, epoch))

    def _first_folds(self, token: str, values: Sequence[float]) -> None:
        self._judge(token, 0, lambda lease: self.client.is_behind(lease, values))

    def _judge(self, token: str, epoch: int, prune: Callable[[Lease], bool]) -> None:
        """Answer a trainer that waits for a verdict."""

        def answer(lease: Lease) -> None:
            self._tell(Verdict(token, Outcome.PRUNED if prune(lease) else None, epoch))

        self.held.flush()
        self.held.post(token, answer)
        self.held.deliver()
        if self.outbox:  # database unavailable: keep training
            self._tell(Verdict(token, None, epoch))

    def _finished(self, token: str, result: Result) -> None:
        if result.outcome == INTERRUPTED:
            self.held.give_back(token, INTERRUPTED)
            return
        self.held.report(token, list(result.measurements))
        if result.outcome == OUT_OF_MEMORY:
            cause = result.cause or OUT_OF_MEMORY
            self.held.post(token, lambda lease: self.client.no_room(lease, cause))
            self.held.finished(token)
            self._replace_trainer("out of memory")  # to free the memory for the next trial
            return
        self.held.post(token, lambda lease: self.client.finish(lease, result))
        task_id = self.held.finished(token).task_id
        self.done += 1
        if result.outcome == Outcome.FAILED:
            self._spoil(task_id, result.cause or "")
        else:
            self.spoilt.clear()

    def _spoil(self, task_id: int, cause: str) -> None:
        """Record a failure; after several in a row, quarantine this worker and leave."""
        self.spoilt[task_id] = cause
        if len(self.spoilt) < MOST_FAILURES_IN_A_ROW:
            return
        last = (cause.strip().splitlines() or ["no cause"])[-1]
        why = f"{len(self.spoilt)} trials in a row failed here, the last: {last}"
        self.held.deliver()
        self.outbox.reach(lambda: self.client.quarantine(list(self.spoilt), why), None)
        raise RequestError(why, hint="others go on with them, without this worker")

    def _check_progress(self) -> None:
        allowed = max(self.limits.stall_seconds, STALL_EPOCHS * self.longest_epoch)
        silent = time.monotonic() - self.last_message_at
        if silent > allowed and (self.held or not (self.ready or self.without_trainer)):
            self._replace_trainer(f"no progress for {silent:.0f} s")

    def _replace_trainer(self, why: str) -> None:
        """Start another trainer, unless this worker leaves.

        One that was never ready is not replaced: a new one would fail the same way.

        Raises:
            RequestError: The trainer does not start.
        """
        what = "giving up its trainer" if self.leaving else "starting another trainer"
        log.warning("%s: %s", why, what)
        self.child.kill()
        if not self.ready:
            raise RequestError(f"the trainer did not start: {why}", hint="see its messages above")
        self.ready = False
        for lease in self.held.give_all_back(why):
            self._spoil(lease.task_id, why)
        if self.leaving:
            self.without_trainer = True
        else:
            self.child = self.start()
            self.child.send(self.setup)
        self.last_message_at = time.monotonic()

    # Timed tasks.

    def _keep_in_touch(self) -> None:
        now = time.monotonic()
        if now - self.heartbeat_at >= self.client.heartbeat_seconds:
            self.heartbeat_at = now
            self._heartbeat()
        if self.held.unwritten and now - self.held.flushed_at >= TICK_SECONDS:
            self.held.flush()
        self.held.deliver()
        soon_gone = self.leaving and now >= self.leaving - CHECKPOINT_SECONDS
        if soon_gone and not self.asked and self.held:
            self.asked = True
            for lease in self.held.leases():
                self._tell(Verdict(lease.token, INTERRUPTED))

    def _heartbeat(self) -> None:
        word = "training" if self.held else ("idle" if self.ready else "starting")
        word = "leaving" if self.leaving else word
        self.reply = self.held.heartbeat(word, self.reply)
        if self.reply is HeartbeatReply.CANCEL:
            self.held.give_all_back(INTERRUPTED)

    # The next job.

    def _take_next(self) -> None:
        if time.monotonic() < self.idle_until:
            return
        lease = None if self._enough() else self.outbox.reach(self.client.claim, None)
        if lease is None:
            self.state = self.outbox.reach(self.client.advance, self.state)
            # No delay at first: advancing the study may have created work.
            self.idle_until = time.monotonic() + self.idle
            self.idle = min(max(2 * self.idle, IDLE_SECONDS), MOST_IDLE_SECONDS)
            return
        self.idle = 0.0
        self.held.take([lease])
        self.last_message_at, self.longest_epoch = time.monotonic(), 0.0
        self.child.send(job_of(self.client.spec, lease))

    def _enough(self) -> bool:
        most = self.limits.most_trials
        return most is not None and self.done >= most


def _alike(one: Stack, other: Stack) -> bool:
    """Return whether one program can train both stacks."""
    return shaping_items(one) == shaping_items(other)
