"""The supervisor: lease, heartbeat, database and signals. It never imports TensorFlow.

One loop handles what the trainer says and what the clock says. Everything for the database goes
through an outbox in order, so an absent database stops neither the loop nor the training.
"""

from __future__ import annotations

import logging
import queue
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from search.fleet.desk import BEAT_SECONDS, INTERRUPTED, Desk, Lease, LeaseLost, Orders
from search.records import CONFIRMATION, SEARCH, Measurement, Result
from spaces.errors import RequestError, StorageAwayError
from workers.child import Child, Died
from workers.messages import Done, Job, Measured, Ready, Refused, Verdict

log = logging.getLogger("trainstack.worker")

# How often people's wishes are looked for, and measurements written.
TICK_SECONDS = 1.0
# How long to wait before asking again for work when there is none yet.
IDLE_SECONDS = 0.25
# A trainer that has said nothing for so long hangs: at least this, and many of its own epochs.
STALL_SECONDS = 600.0
STALL_EPOCHS = 20
# How long the database may be away before the worker gives up.
AWAY_SECONDS = 1800.0
# A worker whose trials fail this often in a row is itself what is broken.
MOST_FAILURES_IN_A_ROW = 3


@dataclass
class Limits:
    """When a worker stops by itself.

    Attributes:
        most_trials: Leave after this many trials; None: never.
        drain_seconds: After SIGTERM, how long the running trial may take to finish.
        stall_seconds: Silence after which a trainer is taken for hung.
        away_seconds: How long the database may be away.
    """

    most_trials: int | None = None
    drain_seconds: float = 20.0
    stall_seconds: float = STALL_SECONDS
    away_seconds: float = AWAY_SECONDS


@dataclass
class Supervisor:
    """One worker: a desk, a trainer, and at most one lease.

    Attributes:
        desk: The worker's place at the study.
        start: Starts a trainer.
        limits: When to stop by itself.
    """

    desk: Desk
    start: Callable[[], Child]
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.child: Child | None = None
        self.ready = False
        self.lease: Lease | None = None
        self.outbox: deque[Callable[[], None]] = deque()
        self.fresh: list[Measurement] = []
        self.done = 0
        self.failures = 0
        self.leaving: float | None = None  # give back at this time
        self.at_once = False
        self.state = "searching"
        self.away_since: float | None = None
        self.heard = self.beaten = self.flushed = time.monotonic()
        self.longest_epoch = 0.0
        self.idle_until = 0.0

    def leave_soon(self, at_once: bool = False) -> None:
        """Take no more trials; give the running one back after the drain time, or at once."""
        self.at_once = self.at_once or at_once or self.leaving is not None
        drain = 0.0 if self.at_once else self.limits.drain_seconds
        self.leaving = time.monotonic() + drain

    def run(self) -> None:
        """Work until the study is over, the limits are reached, or told to leave.

        Raises:
            RequestError: The data here is not the study's, or every trial fails here.
            StorageAwayError: The database has been away for too long.
        """
        self.child = self.start()
        try:
            while not self._over():
                self._serve()
            if self.lease is not None:
                self._give_back(INTERRUPTED)
                self._deliver()
        finally:
            self._close()

    def _close(self) -> None:
        if self.child is not None:
            if self.lease is None and not self.at_once:
                self.child.leave()
            self.child.kill()
        try:
            self.desk.leave()
        except StorageAwayError as error:
            log.warning("left without signing off: %s", error)

    def _over(self) -> bool:
        now = time.monotonic()
        if self.leaving is not None and (self.lease is None or now >= self.leaving):
            return True
        if self.lease is not None or self.outbox:
            return False
        most = self.limits.most_trials
        return self.state in ("concluded", "stopped") or (most is not None and self.done >= most)

    def _serve(self) -> None:
        """One turn: the database's share, the next job, the trainer's news."""
        self._deliver()
        self._tick()
        if self.ready and self.lease is None and not self.outbox and self.leaving is None:
            self._take_next()
        assert self.child is not None
        try:
            message = self.child.news.get(timeout=self._patience())
        except queue.Empty:
            self._check_progress()
            return
        self.heard = time.monotonic()
        self._handle(message)

    def _patience(self) -> float:
        if self.lease is None and self.ready:
            return IDLE_SECONDS
        wait = TICK_SECONDS
        if self.leaving is not None:
            wait = min(wait, max(0.0, self.leaving - time.monotonic()))
        return wait

    # What the trainer says.

    def _handle(self, message: Any) -> None:
        match message:
            case Ready():
                self.ready = True
            case Refused(error=error):
                raise RequestError(error)
            case Died(exit_code=code):
                self._replace_trainer(f"its trainer died (exit code {code})")
            case Measured(token=token) if self._current(token):
                self._measured(message)
            case Done(token=token, result=result) if self._current(token):
                self._finished(result)
            case _:
                pass  # about a trial that is no longer ours

    def _current(self, token: str) -> bool:
        return self.lease is not None and self.lease.token == token

    def _measured(self, message: Measured) -> None:
        self.fresh.append(message.measurement)
        self.longest_epoch = max(self.longest_epoch, message.measurement.seconds)
        if message.waits:
            self._flush()
            self._post(lambda lease, epoch=message.measurement.epoch: self._judge(lease, epoch))
            self._deliver()
            if self.outbox and self.child is not None:  # the database is away: train on
                self.child.send(Verdict(message.token, None))

    def _judge(self, lease: Lease, epoch: int) -> None:
        prune = self.desk.verdict(lease, epoch)
        if self.child is not None:
            self.child.send(Verdict(lease.token, "pruned" if prune else None))

    def _finished(self, result: Result) -> None:
        if result.outcome == INTERRUPTED:
            self._give_back(INTERRUPTED)
            return
        self.fresh = []  # the result holds every measurement
        self._report(list(result.measurements))
        self._post(lambda lease: self.desk.finish(lease, result))
        self.lease = None
        self.done += 1
        self.failures = self.failures + 1 if result.outcome == "failed" else 0
        if self.failures >= MOST_FAILURES_IN_A_ROW:
            self._deliver()
            raise RequestError(
                f"{self.failures} trials in a row failed here",
                mend="see their cause in `trainstack trials`; others go on without this worker",
            )

    def _check_progress(self) -> None:
        allowed = max(self.limits.stall_seconds, STALL_EPOCHS * self.longest_epoch)
        silent = time.monotonic() - self.heard
        if self.lease is not None and silent > allowed:
            self._replace_trainer(f"no progress for {silent:.0f} s")

    def _replace_trainer(self, why: str) -> None:
        log.warning("%s: starting another", why)
        if self.lease is not None:
            self._give_back(why)
        elif not self.ready:
            raise RequestError(f"the trainer did not start: {why}", mend="see its messages above")
        if self.child is not None:
            self.child.kill()
        self.ready = False
        self.child = self.start()
        self.heard = time.monotonic()

    # What the clock says.

    def _tick(self) -> None:
        now = time.monotonic()
        if self.fresh and now - self.flushed >= TICK_SECONDS:
            self._flush()
        if now - self.beaten < min(TICK_SECONDS if self.lease else BEAT_SECONDS, BEAT_SECONDS):
            return
        self.beaten = now
        self._post_plain(self._beat)
        self._deliver()

    def _beat(self) -> None:
        word = "training" if self.lease else ("idle" if self.ready else "starting")
        orders = self.desk.beat(self.lease, "leaving" if self.leaving else word)
        if orders is Orders.LOST and self.lease is not None:
            self._drop()
        elif orders is Orders.CANCEL:
            if self.lease is not None:
                self._give_back(INTERRUPTED)
            self.state = "stopped"

    # What goes to the database, in order.

    def _flush(self) -> None:
        news, self.fresh = self.fresh, []
        self.flushed = time.monotonic()
        self._report(news)

    def _report(self, news: list[Measurement]) -> None:
        if news:
            self._post(lambda lease: self.desk.report(lease, news))

    def _post(self, action: Callable[[Lease], None]) -> None:
        lease = self.lease
        assert lease is not None
        self._post_plain(lambda: action(lease))

    def _post_plain(self, action: Callable[[], None]) -> None:
        self.outbox.append(action)

    def _deliver(self) -> None:
        """Do what stands in the outbox; keep what cannot be done while the database is away."""
        while self.outbox:
            try:
                self.outbox[0]()
            except StorageAwayError as error:
                self._away(error)
                return
            except LeaseLost:
                self.outbox.clear()
                self._drop()
                return
            self.away_since = None
            if self.outbox:
                self.outbox.popleft()

    def _away(self, error: StorageAwayError) -> None:
        now = time.monotonic()
        if self.away_since is None:
            self.away_since = now
            log.warning("%s: training goes on, reports wait", error)
        if now - self.away_since > self.limits.away_seconds:
            raise error

    def _give_back(self, cause: str) -> None:
        """Return the trial to the queue and let the trainer forget it."""
        self._post(lambda lease: self.desk.give_back(lease, cause))
        self._drop()

    def _drop(self) -> None:
        """Forget the lease; the trainer ends what it is doing at its next epoch."""
        if self.lease is not None and self.child is not None:
            self.child.send(Verdict(self.lease.token, INTERRUPTED))
        self.lease, self.fresh = None, []

    # The next job.

    def _take_next(self) -> None:
        if time.monotonic() < self.idle_until:
            return
        try:
            lease = None
            if not self._enough():
                lease = self.desk.claim()
            if lease is None:
                self.state = self.desk.advance()
                self.idle_until = time.monotonic() + IDLE_SECONDS
        except StorageAwayError as error:
            self._away(error)
            self.idle_until = time.monotonic() + TICK_SECONDS
            return
        self.away_since = None
        if lease is not None:
            self.lease, self.heard, self.longest_epoch = lease, time.monotonic(), 0.0
            assert self.child is not None
            self.child.send(job_of(self.desk.spec, lease))

    def _enough(self) -> bool:
        most = self.limits.most_trials
        return most is not None and self.done >= most


def job_of(spec: Any, lease: Lease) -> Job:
    """Say a lease in the trainer's words."""
    return Job(
        token=lease.token,
        kind=lease.kind,
        stack=lease.stack,
        seed=lease.seed,
        split_seed=lease.seed if lease.kind == CONFIRMATION else spec.seed,
        epochs=spec.epochs,
        rungs=lease.rungs if lease.kind == SEARCH else (),
        folder=f"{quote(spec.study, safe='')}/{lease.kind}",
        payload=dict(lease.payload),
        again=spec.replicates if lease.kind == CONFIRMATION else 1,
    )
