"""Optuna trials that mirror the fleet's tasks, for samplers and for Optuna's tools.

The fleet's tables are authoritative. A trial is created, sampled and reported in the transaction
that writes the task's row. It ends in a later, repeatable transaction, as the ending of the task
holds a lock on the study; `repair` completes what a crash prevented.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.study._constrained_optimization import _CONSTRAINTS_KEY
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import URL, Connection, Row, func, select, update

from trainstack.search.database.connection import engine_options
from trainstack.search.database.schema import creating, studies, tasks
from trainstack.search.evidence.constraints import read_all
from trainstack.search.queue.study_store import RETRY_OF
from trainstack.search.records import SEARCH
from trainstack.search.sampling import optuna_tables, trial_files
from trainstack.search.sampling.pruning import cut, pruner, rung_step, seen
from trainstack.search.sampling.samplers import sampler
from trainstack.search.sampling.trial_window import TrialWindow
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import StudyError
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

SPEC_KEY = "trainstack:spec"
METRIC = "validation loss"
_CONSTRAINT = "trains"


def open_storage(url: URL) -> optuna.storages.RDBStorage:
    """Open Optuna's storage, created if missing; safe for concurrent processes."""
    from trainstack.search.database.connection import engine

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    lock = engine(url)
    try:
        with lock.begin() as connection:
            creating(connection)
            text = url.render_as_string(hide_password=False)
            return optuna.storages.RDBStorage(text, engine_kwargs=engine_options(url))
    finally:
        lock.dispose()


def bad_value(spec: StudySpec) -> float:
    """Return the value reported for a trial that did not train: ten times the trivial loss.

    Samplers that compare values rank it last, and plots of all values stay readable. TPE ranks
    pruned trials by their last step, so the trial also violates a constraint.
    """
    classes = len(spec.data.classes)
    return 10.0 * math.log(classes) if classes > 1 else 10.0


def ensure_study(storage: optuna.storages.RDBStorage, spec: StudySpec) -> None:
    """Create the Optuna study if it is missing, and store the spec in it."""
    study = optuna.create_study(
        study_name=spec.study, storage=storage, direction="minimize", load_if_exists=True
    )
    if study.user_attrs.get(SPEC_KEY) != spec.to_json():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # metric names are experimental in Optuna
            study.set_metric_names([METRIC])
        study.set_user_attr(SPEC_KEY, spec.to_json())


def refuse_foreign(storage: optuna.storages.RDBStorage, name: str) -> None:
    """Check that the storage has no Optuna study of this name created by other software.

    Raises:
        StudyError: There is such a study.
    """
    if name not in optuna.get_all_study_names(storage):
        return
    # Checked after Optuna: a process that creates this study writes the fleet's row first.
    with storage.engine.connect() as connection:
        ours = connection.execute(select(studies.c.name).where(studies.c.name == name)).first()
    if ours is None:
        raise StudyError(
            f"'{name}' is an Optuna study that was not created by trainstack",
            hint="give another --study",
        )


class OptunaMirror:
    """One worker's view of the Optuna study."""

    def __init__(self, storage: optuna.storages.RDBStorage, spec: StudySpec, seed: int) -> None:
        self.storage, self.spec, self._seed = storage, spec, seed
        self.space, self.pruner = Space.from_json(dict(spec.space)), pruner(spec.pruner)
        self.reload()

    def reload(self) -> None:
        """Reload all trials, for example after a finished one was voided."""
        self.window = TrialWindow(self.storage)
        self._stacks: dict[int, Stack] = {}
        self.study = optuna.load_study(
            study_name=self.spec.study,
            storage=self.window,
            sampler=sampler(self.spec, self._seed),
            pruner=optuna.pruners.NopPruner(),
        )
        # TPE requests the trials again for each of a space's more than forty groups of parameters,
        # which takes four fifths of a draw. Reading them once per draw gives the same result.
        look = self.study._get_trials
        self.study._get_trials = lambda deepcopy=True, states=None, use_cache=True: look(
            deepcopy, states, use_cache=True
        )

    def load(self) -> None:
        """Read the trials that sampler and pruner use, if they use any."""
        if self.spec.sampler != "random" or self.spec.pruner != "none":
            self.study._get_trials(deepcopy=False)

    def _refresh(self) -> None:
        """Read trials that others finished meanwhile on the next use, as `Study.ask` does."""
        self.study._thread_local.cached_all_trials = None

    def begin(self, connection: Connection, row: Row[Any]) -> tuple[int, int]:
        """Return Optuna's id and number of a task's running trial, created if missing.

        A trial created by an earlier attempt is reused and keeps its number.
        """
        if row.trial_id is not None:
            optuna_tables.again(connection, row.trial_id)
            return row.trial_id, row.number
        attributes: dict[str, Any] = trial_files.of_trial(row.task_id)
        if (fixed := self._fixed(row)) is not None:
            attributes["fixed_params"] = fixed
        return optuna_tables.begin(
            connection, self.study._study_id, _user_attributes(row), attributes
        )

    def _fixed(self, row: Row[Any]) -> dict[str, Any] | None:
        """Return the parameters of a task's stack; None if it has none yet."""
        return self.space.encode(Stack.from_json(row.stack)) if row.stack else None

    def draw(self, row: Row[Any]) -> tuple[Stack, FrozenTrial]:
        """Return the stack of a task whose trial has begun, sampled unless given.

        Nothing is written.

        Returns:
            The stack, and an Optuna trial with its parameters, which are empty if the stack is
            outside the space.
        """
        self._refresh()
        given = Stack.from_json(row.stack) if row.stack else None
        fixed = self._fixed(row)
        with self.window.draft(row.trial_id, row.number, fixed or {}) as draft:
            if given is not None and fixed is None:
                return given, draft
            return self.space.draw(Trial(self.study, row.trial_id)), draft

    def drawn(self, connection: Connection, stack: Stack, draft: FrozenTrial) -> None:
        """Write the stack and parameters of a trial to Optuna's tables."""
        found = {
            name: (how.to_internal_repr(draft.params[name]), distribution_to_json(how))
            for name, how in draft.distributions.items()
        }
        optuna_tables.drawn(connection, draft._trial_id, found)
        named = {"stack_id": stack.stack_id, "family": stack.family, "stack": stack.to_json()}
        optuna_tables.set_user_attributes(connection, draft._trial_id, named)

    def prune(self, trial_id: int, share: float) -> bool:
        """Return whether to prune a trial at a rung, given as a share of its plan."""
        self._refresh()
        step = rung_step(share, self.spec.epochs)
        found = {
            trial._trial_id: seen(self._stack(trial), share, trial.intermediate_values, step)
            for trial in self.study._get_trials(deepcopy=False)
            if step in trial.intermediate_values
        }
        mine = found.pop(trial_id, None)
        return mine is not None and cut(self.pruner, mine, found.values())

    def _stack(self, trial: FrozenTrial) -> Stack:
        """Return a trial's stack, cached because every rung reads all of them."""
        if trial._trial_id not in self._stacks:
            self._stacks[trial._trial_id] = Stack.from_json(trial.user_attrs["stack"])
        return self._stacks[trial._trial_id]

    def end(self, row: Row[Any]) -> None:
        """End a task's trial according to the outcome, and mark the task as mirrored."""
        state, value = TrialState.FAIL, None
        gaps: dict[str, float] = {}
        if row.outcome in ("completed", "pruned"):
            done = row.outcome == "completed"
            state, value = (TrialState.COMPLETE if done else TrialState.PRUNED), row.value
            for bound in read_all(self.spec.constraints):
                if (gap := bound.violation(row.metrics)) is not None:
                    gaps[str(bound)] = gap
        elif row.outcome in ("diverged", "infeasible"):
            state, value = TrialState.PRUNED, bad_value(self.spec)
            gaps[_CONSTRAINT] = 1.0
        named = {"outcome": row.outcome, "cause": row.cause, "attempts": row.attempts}
        with self.storage.engine.begin() as connection:
            if (trial_id := row.trial_id) is not None:
                optuna_tables.set_user_attributes(
                    connection, trial_id, {k: v for k, v in named.items() if v is not None}
                )
                violations = {f"{_CONSTRAINTS_KEY}:{key}": gap for key, gap in gaps.items()}
                optuna_tables.add_system_attributes(connection, trial_id, violations)
                optuna_tables.end(connection, trial_id, state.name, value)
            connection.execute(
                update(tasks).where(tasks.c.task_id == row.task_id).values(mirrored=True)
            )

    def wait(self, trial_id: int) -> None:
        """Mark a trial that was given back as waiting."""
        with self.storage.engine.begin() as connection:
            optuna_tables.wait(connection, trial_id)

    def repair(self, grace_seconds: float = 5.0) -> int:
        """End the Optuna trials of ended tasks that are not mirrored yet; return their number.

        Args:
            grace_seconds: Skip tasks that ended less than this long ago, as their workers are
                about to do it.
        """
        ago = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, grace_seconds)
        mine = select(studies.c.study_id).where(studies.c.name == self.spec.study).scalar_subquery()
        with self.storage.engine.connect() as connection:
            apart = connection.execute(
                select(tasks)
                .where(tasks.c.study_id == mine, tasks.c.status == "done")
                .where(tasks.c.kind == SEARCH, ~tasks.c.mirrored, tasks.c.finished_at <= ago)
            ).all()
        for row in apart:
            self.end(row)
        return len(apart)


def _user_attributes(row: Row[Any]) -> dict[str, Any]:
    """Return the attributes that Optuna's tools show for a trial from its start."""
    attributes = {"seed": row.seed, "label": row.label, RETRY_OF: row.payload.get(RETRY_OF)}
    return {key: value for key, value in attributes.items() if value is not None}
