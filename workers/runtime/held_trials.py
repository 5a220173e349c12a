"""The trials that a worker holds, and what it writes to the database about them, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from trainstack.search.records import Measurement
from trainstack.search.studies.worker_client import (
    INTERRUPTED,
    HeartbeatReply,
    Lease,
    LeaseLost,
    WorkerClient,
)
from trainstack.workers.messages import ABANDONED, Measured, Verdict
from trainstack.workers.runtime.outbox import Outbox


@dataclass
class _Held:
    """A lease, and the measurements that are not written yet."""

    lease: Lease
    fresh: list[Measurement] = field(default_factory=list)


class HeldTrials:
    """The leases of one worker: one, or those of networks that are trained at once.

    Args:
        client: The worker's connection to the study.
        away_seconds: Time for which the database may be unavailable.
        tell: Sends a verdict to the trainer.
    """

    def __init__(
        self, client: WorkerClient, away_seconds: float, tell: Callable[[Verdict], None]
    ) -> None:
        self.client, self.tell = client, tell
        self.outbox = Outbox(away_seconds)
        self.flushed_at = time.monotonic()
        self._held: dict[str, _Held] = {}

    def __bool__(self) -> bool:
        return bool(self._held)

    def __contains__(self, token: str) -> bool:
        return token in self._held

    def leases(self) -> list[Lease]:
        """Return the leases held."""
        return [held.lease for held in self._held.values()]

    def lease(self, token: str) -> Lease:
        """Return a held lease."""
        return self._held[token].lease

    def take(self, leases: Iterable[Lease]) -> None:
        """Hold more leases."""
        self._held |= {lease.token: _Held(lease) for lease in leases}

    def measured(self, message: Measured) -> None:
        """Note a measurement, which `flush` writes."""
        self._held[message.token].fresh.append(message.measurement)

    @property
    def unwritten(self) -> bool:
        """True if measurements are waiting for `flush`."""
        return any(held.fresh for held in self._held.values())

    def flush(self) -> None:
        """Write all measurements that are not written yet."""
        self.flushed_at = time.monotonic()
        for token, held in self._held.items():
            news, held.fresh = held.fresh, []
            self.report(token, news)

    def report(self, token: str, news: list[Measurement]) -> None:
        """Write measurements of a trial."""
        if news:
            self.post(token, lambda lease: self.client.report(lease, news))

    def post(self, token: str, action: Callable[[Lease], None]) -> None:
        """Append a write about a held trial to the outbox."""
        lease = self._held[token].lease
        self.outbox.post(lambda: action(lease), about=token)

    def deliver(self) -> None:
        """Run the actions in the outbox; keep them while the database is unavailable."""
        while True:
            try:
                return self.outbox.deliver()
            except LeaseLost:
                self._lost(self.outbox.about)

    def heartbeat(self, state: str, before: HeartbeatReply) -> HeartbeatReply:
        """Renew every lease and return the study's requested state.

        Args:
            state: The worker's state.
            before: Reply while the database is unavailable.
        """
        reply = before
        for lease in self.leases() or [None]:
            found = self.outbox.reach(lambda held=lease: self.client.heartbeat(held, state), before)
            if found is HeartbeatReply.LOST and lease is not None:
                self._lost(lease.token)
            else:
                reply = found
        return reply

    def _lost(self, token: str) -> None:
        """Drop a trial that another worker has taken; write nothing more about it."""
        self.outbox.forget(token)
        self._drop(token, ABANDONED)

    def finished(self, token: str) -> Lease:
        """Stop holding a trial whose end is in the outbox; return its lease."""
        return self._held.pop(token).lease

    def give_back(self, token: str, cause: str) -> None:
        """Return a trial to the queue and stop the trainer's work on it."""
        self.post(token, lambda lease: self.client.give_back(lease, cause))
        self._drop(token, INTERRUPTED)

    def give_all_back(self, cause: str) -> list[Lease]:
        """Return every trial to the queue, and their leases."""
        leases = self.leases()
        for lease in leases:
            self.give_back(lease.token, cause)
        return leases

    def _drop(self, token: str, verdict: str) -> None:
        """Drop a lease; the trainer stops after its current epoch."""
        if self._held.pop(token, None) is not None:
            self.tell(Verdict(token, verdict))
