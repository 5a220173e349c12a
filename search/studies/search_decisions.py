"""What a worker decides about its search trials: their stacks, and whether they end early."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Sequence

from sqlalchemy import Engine

from trainstack.search.database.schema import durable
from trainstack.search.evidence.candidates import BASELINE_LABEL
from trainstack.search.payloads import SearchPayload
from trainstack.search.queue import attempts, deduplication
from trainstack.search.queue.eligibility import seconds_from_now
from trainstack.search.queue.lease import Lease, lease_of
from trainstack.search.queue.rows import TaskRow
from trainstack.search.queue.search_trials import fold_values
from trainstack.search.records import SEARCH, Outcome, Result
from trainstack.search.sampling.fold_racing import behind
from trainstack.search.sampling.proposals import Proposals
from trainstack.search.spec import StudySpec
from trainstack.spaces.portfolio import MEASURED_DEFAULT


class SearchDecisions:
    """The decisions of one worker, from the trials of its study.

    Args:
        engine: The database.
        study_id: Id of the study.
        spec: Spec of the study.
        seed: Seed of the sampler.
        lease_seconds: Duration of a lease without a heartbeat.
    """

    def __init__(
        self, engine: Engine, study_id: int, spec: StudySpec, seed: int, lease_seconds: float
    ) -> None:
        self._engine, self._study_id, self._lease_seconds = engine, study_id, lease_seconds
        self.proposals = Proposals(engine, study_id, spec, seed)

    def begin(self, row: TaskRow) -> Lease | None:
        """Decide the stack of a claimed search trial; return None if its result is cached."""
        payload = row.payload
        assert isinstance(payload, SearchPayload)
        try:
            if (stack := row.stack) is None:
                stack, parameters = self.proposals.propose()
            else:
                parameters = payload.parameters or self.proposals.space.encode(stack)
        except (ValueError, TypeError, ArithmeticError, LookupError):
            # A fault of this code or the sampler: store the traceback and go on.
            attempts.finish(
                self._engine,
                row.task_id,
                row.token,
                Result(Outcome.FAILED, cause=traceback.format_exc()),
            )
            return None
        payload = dataclasses.replace(payload, parameters=parameters)
        with self._engine.begin() as connection:
            durable(connection)
            # No heartbeat is sent while claiming, so the lease begins anew.
            own = {"stack": stack.to_json(), "stack_id": stack.stack_id}
            own |= {"payload": payload.to_json()}
            own["lease_until"] = seconds_from_now(self._lease_seconds)
            row = attempts.write(connection, row.task_id, row.token, **own)
        if not payload.given and deduplication.finish_as_duplicate(self._engine, row):
            return None
        lease = lease_of(row)
        rungs = self.proposals.pruner.places(self._planned(lease))
        return dataclasses.replace(lease, rungs=tuple(rungs))

    def verdict(self, lease: Lease, epoch: int) -> bool:
        """Return whether to prune the trial at a rung whose epoch has been reported.

        Stacks that a comparison needs are never pruned, but others are compared with them.
        """
        if lease.kind != SEARCH or epoch not in lease.rungs:
            return False
        row = self.proposals.pruner
        rungs = row.places(self._planned(lease))
        exempt = list(rungs)[: lease.number % row.brackets]
        if self._is_needed(lease) or epoch in exempt:
            return False
        return self.proposals.prune(lease.number, rungs[epoch])

    def is_behind(self, lease: Lease, values: Sequence[float]) -> bool:
        """Return whether to prune a trial after its first folds, of which these are the objectives.

        It is compared with the trials that have finished all folds. Stacks that a comparison needs
        are never pruned.
        """
        if self._is_needed(lease):
            return False
        with self._engine.connect() as connection:
            finished = fold_values(connection, self._study_id)
        return behind(values, finished)

    def _planned(self, lease: Lease) -> int:
        assert lease.stack is not None
        return lease.stack.planned_epochs(self.proposals.spec.epochs)

    def _is_needed(self, lease: Lease) -> bool:
        """Return whether a trial's result was requested, or is what every other is compared with.

        The other first stacks of a search are pruned like any: a wide one can take as long as all
        random draws together.
        """
        assert isinstance(lease.payload, SearchPayload)
        requested = lease.payload.given and bool(self.proposals.spec.stacks)
        return requested or lease.label in (BASELINE_LABEL, MEASURED_DEFAULT)
