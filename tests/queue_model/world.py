"""A study with three workers, on which operations are carried out one at a time.

Every operation is the product's own, against real tables. After each, `effects` compares the tables
with those before it, and `snapshot.check` with each other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError, OperationalError

from tests.queue_model import effects
from tests.queue_model.bench import Bench
from tests.queue_model.did import Did, Held
from tests.queue_model.optuna_copy import check_copy
from tests.queue_model.snapshot import Snapshot, check, check_counts, snapshot
from tests.support.studies import CARD, FakeJudge, completed, epochs, spec_of
from trainstack.search.database.schema import workers
from trainstack.search.queue import budget, study_store, worker_registry
from trainstack.search.queue.lease import Lease
from trainstack.search.records import Outcome, Result
from trainstack.search.sampling.optuna_export import OptunaExport
from trainstack.search.studies.opening import open_study
from trainstack.search.studies.worker_client import INTERRUPTED, LeaseLost, WorkerClient
from trainstack.spaces.errors import RequestError, StorageAwayError
from trainstack.spaces.references import REFERENCES

LEASE_SECONDS, REQUEUE_SECONDS, TRIALS = 60.0, 10.0, 3
ENDINGS = {
    "completed": completed(0.5),
    "pruned": Result(Outcome.PRUNED, 0.75),
    "diverged": Result(Outcome.DIVERGED, cause="loss not finite"),
    "failed": Result(Outcome.FAILED, cause="a bug"),
}
# The stacks that are drawn, one after the other: some are drawn twice, and so cached.
_DRAWN = [list(REFERENCES.values())[k] for k in (0, 1, 0, 2, 1, 3)]


class World:
    """A new study.

    Args:
        bench: The database.
        trials: Places in its budget.
    """

    def __init__(self, bench: Bench, trials: int = TRIALS) -> None:
        self.bench, self.name = bench, next(bench.names)
        self.spec = spec_of(study=self.name, trials=trials, replicates=1)
        study_store.create(bench.engine, self.spec, ())
        self.opened = open_study(bench.engine, self.name)
        self.study_id = self.opened.row.study_id
        self.drawn = itertools.cycle(_DRAWN)
        self.clients = [self._joined(line) for line in range(bench.LINES)]
        self.held: list[Held] = []
        self.done = self.compared = 0
        self.tokens: set[str] = set()
        self.failed: dict[int, list[int]] = {}
        self.seen: Snapshot = snapshot(bench.watching, self.study_id)

    def _joined(self, line: int, worker_id: int | None = None) -> WorkerClient:
        here = self.bench.lines[line].engine
        if worker_id is None:
            worker_id, _ = worker_registry.join(self.bench.engine, self.study_id, CARD)
        client = WorkerClient(
            here,
            self.opened,
            (worker_id, CARD),
            0,
            lease_seconds=LEASE_SECONDS,
            requeue_seconds=REQUEUE_SECONDS,
            judge=FakeJudge(),
        )
        client._maintenance._checked = math.inf  # only the operation `maintain` runs it
        client._decisions.proposals.propose = lambda: (next(self.drawn), {})  # type: ignore[method-assign]
        return client

    # Operations of workers.

    def claim(self, line: int, fault: str = "", commit: int = 1) -> None:
        """Claim a task; a claim has up to three transactions."""
        client = self.clients[line]
        lease = self._do(line, "claim", client.claim, fault=fault, commit=commit)
        if isinstance(lease, Lease):
            self.held.append(Held(line, client, lease))

    def beat(self, pick: int, fault: str = "") -> None:
        """Renew a lease."""
        if held := self._pick(pick):
            self._leased(held, "beat", held.client.heartbeat, "training", fault=fault)

    def idle(self, line: int, fault: str = "", commit: int = 1) -> None:
        """Send the heartbeat of a worker that holds nothing, or does not know that it does."""
        act = self.clients[line].heartbeat
        self._do(line, "idle", act, None, fault=fault, commit=commit)

    def report(self, pick: int, count: int = 2, fault: str = "") -> None:
        """Report epochs."""
        if held := self._pick(pick):
            self._leased(held, "report", held.client.report, epochs(count), fault=fault)

    def finish(self, pick: int, ending: str = "completed", fault: str = "") -> None:
        """End a task."""
        if held := self._pick(pick):
            act, result = held.client.finish, ENDINGS[ending]
            reply = self._leased(held, "finish", act, result, fault=fault)
            if reply is None and ending == "failed":
                worker_id = held.client.worker_id
                self.failed.setdefault(worker_id, []).append(held.lease.task_id)

    def give_back(self, pick: int, cause: str = INTERRUPTED, fault: str = "") -> None:
        """Return a task."""
        if held := self._pick(pick):
            self._leased(held, "give_back", held.client.give_back, cause, fault=fault)

    def no_room(self, pick: int, fault: str = "") -> None:
        """Run out of memory."""
        if held := self._pick(pick):
            self._leased(held, "no_room", held.client.no_room, "out of memory", fault=fault)

    def reap(self, line: int, fault: str = "") -> None:
        """Return the tasks whose leases have expired, unless the clock has been set back."""
        checked = self.seen.study.expiry_checked_at
        if checked is None or checked <= self.bench.clock.now:
            self._do(line, "reap", self.clients[line].requeue_expired, fault=fault)

    def maintain(self, line: int, fault: str = "", commit: int = 1) -> None:
        """Let a worker run its maintenance, if no other has lately."""
        client = self.clients[line]
        client._maintenance._checked = -math.inf
        act = client._maintenance.run_if_due
        self._do(line, "maintain", act, fault=fault, commit=commit)
        client._maintenance._checked = math.inf

    def advance(self, line: int, fault: str = "", commit: int = 1) -> None:
        """Advance the study."""
        self._do(line, "advance", self.clients[line].advance, fault=fault, commit=commit)

    def quarantine(self, line: int, fault: str = "") -> None:
        """Let a worker give up, with the tasks that it has failed."""
        client = self.clients[line]
        failed = self.failed.get(client.worker_id, [])
        self._do(line, "quarantine", client.quarantine, failed, "sick", fault=fault)

    def leave(self, line: int) -> None:
        """Let a worker leave; its next heartbeat brings it back."""
        client = self.clients[line]
        self._do(line, "leave", worker_registry.leave, client._engine, client.worker_id)

    # What befalls workers.

    def crash(self, line: int) -> None:
        """Let a process die and another join in its place; its leases stay."""
        self._do(line, "crash", self._replace, line, None)

    def restart(self, line: int) -> None:
        """Let a process start again under its old id, without knowing what it held."""
        self._do(line, "restart", self._replace, line, self.clients[line].worker_id)

    def _replace(self, line: int, worker_id: int | None) -> None:
        self.clients[line] = self._joined(line, worker_id)

    def remove(self, line: int) -> None:
        """Delete a worker's row, as an administrator may."""
        self._do(line, "remove", self._remove, self.clients[line].worker_id)

    def _remove(self, worker_id: int) -> None:
        with self.bench.engine.begin() as connection:
            connection.execute(delete(workers).where(workers.c.worker_id == worker_id))

    def wait(self, seconds: float) -> None:
        """Let time pass, or the clock jump back just after workers have checked the leases."""
        if seconds < 0.0:
            self.maintain(0)
        self._do(0, "wait", self.bench.clock.move, self.bench.engine, seconds)

    # Operations of users.

    def request(self, wanted: str, fault: str = "") -> None:
        """Pause, resume, stop or cancel the study."""
        here = self.bench.lines[0].engine
        act = study_store.request_state
        self._do(0, "request", act, here, self.name, wanted, fault=fault)

    def void(self, pick: int, fault: str = "") -> None:
        """Void a search trial, whether it has ended or not."""
        rows = [t for t in self.seen.tasks.values() if t.kind == "search" and t.number is not None]
        if rows:
            task = rows[pick % len(rows)]
            here = self.bench.lines[0].engine
            act = study_store.void
            self._do(0, "void", act, here, self.name, task.number, "spoilt", fault=fault, use=task)

    def set_budget(self, trials: int, fault: str = "") -> None:
        """Change the budget."""
        here = self.bench.lines[0].engine
        self._do(0, "budget", budget._adjust, here, self.name, trials, None, None, fault=fault)

    # The copy in Optuna's storage.

    def export(self, line: int, fault: str = "", commit: int = 1) -> None:
        """Export to Optuna's storage: one round that may be cut short, or all that is left.

        Its transaction is on the worker's line, and encloses those of Optuna, on a line of theirs.
        """
        here, copy = self.bench.lines[line], self.bench.copy
        export = OptunaExport(here.engine, self.name)
        export._storage = copy.storage
        copy.line.break_at(fault, commit)
        act = export.run_if_due if fault else export.finish
        reply = self._do(line, "export", act, fault=fault)
        copy.line.break_at("")
        if not isinstance(reply, Exception) and not fault:
            check_copy(copy.trials(self.name), self.seen)
            self.compared += 1

    # How an operation is carried out.

    def _pick(self, pick: int) -> Held | None:
        return self.held[-1 - pick % len(self.held)] if self.held else None

    def _leased(self, held: Held, name: str, act: Any, *more: Any, fault: str) -> Any:
        return self._do(held.line, name, act, held.lease, *more, fault=fault, use=held)

    def _do(
        self,
        line: int,
        name: str,
        act: Callable[..., Any],
        *arguments: Any,
        fault: str = "",
        commit: int = 1,
        use: Any = None,
    ) -> Any:
        client = use.client if isinstance(use, Held) else self.clients[line]
        unbegun = client._unbegun
        here = self.bench.lines[line]
        here.break_at(fault, commit)
        try:
            reply = act(*arguments)
        except (LeaseLost, StorageAwayError, RequestError, OperationalError) as error:
            reply = error
        except IntegrityError as error:
            raise AssertionError(f"{name}: {error.orig}") from error
        here.break_at("")
        lease = use.lease if isinstance(use, Held) else None
        did = Did(
            name,
            fault if effects.is_away(reply) else "",
            reply,
            lease,
            client.worker_id,
            use if use is not None and lease is None else arguments[-1] if arguments else None,
            unbegun.token if unbegun else None,
        )
        before, self.seen = self.seen, snapshot(self.bench.watching, self.study_id)
        try:
            effects.check(did, before, self.seen, self.bench.clock.now, self.tokens)
            check(self.seen)
            self.done += 1
            kinds = _changed_kinds(before, self.seen)
            check_counts(self.bench.watching, self.seen, kinds)
        except AssertionError as error:
            raise AssertionError(f"{did.name}: {error}\n{did}") from error
        self.tokens |= {task.token for task in self.seen.tasks.values() if task.token}
        return reply

    def to_the_end(self) -> None:
        """Bring the study to its end by the means of one worker that joins now.

        Raises:
            AssertionError: Something stays waiting or running for ever.
        """
        self.request(study_store.GO)
        self.crash(0)
        for _ in range(60):
            known = len(self.held)
            self.claim(0)
            if len(self.held) > known:
                self.finish(0)
                continue
            self.advance(0)
            if self.seen.study.phase == "concluded":
                break
            self.wait(LEASE_SECONDS / 3)
            self.idle(0)
            self.maintain(0)
        self.export(0)
        assert self.seen.study.phase == "concluded", "the study never ends"
        left = [task for task in self.seen.tasks.values() if task.status != "done"]
        assert not left, f"never ended: {left}"


def _changed_kinds(before: Snapshot, after: Snapshot) -> set[str]:
    """Return the kinds of the tasks that differ; no other counts can."""
    old, new = before.tasks, after.tasks
    changed = [k for k in old.keys() | new.keys() if old.get(k) != new.get(k)]
    return {(new.get(k) or old[k]).kind for k in changed}
