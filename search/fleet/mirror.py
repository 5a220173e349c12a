"""Optuna's side: trials that mirror our tasks, so that samplers learn and Optuna's tools read.

Our tables are the truth. Each function here writes after our own row was committed, and may be
called again: what a crash left apart, `repair` brings together.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import optuna
from optuna.trial import Trial, TrialState
from sqlalchemy import URL, Row, func, select, update

from search.evidence.constraints import read_all
from search.fleet import attached, optunas
from search.fleet.connect import engine_options
from search.fleet.ledger import RETRY_OF
from search.fleet.optunas import TASK_KEY
from search.fleet.samplers import pruner_row, sampler
from search.fleet.tables import creating, studies, tasks
from search.fleet.window import Window
from search.records import SEARCH, Measurement
from search.spec import StudySpec
from spaces.errors import StudyError
from spaces.space import Space
from spaces.stack import Stack

SPEC_KEY = "trainstack:spec"
METRIC = "validation loss"
_CONSTRAINT = "trains"
_GRACE_SECONDS = 120.0
# Optuna's word for: that trial has ended, nothing was written.
TrialEnded = optuna.exceptions.UpdateFinishedTrialError


def open_storage(url: URL) -> optuna.storages.RDBStorage:
    """Open Optuna's storage, made if need be; safe when several processes start at once."""
    from search.fleet.connect import engine

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
    """Return what a trial that did not train is told to have: ten times the trivial loss.

    Samplers that look at values rank it last, and a picture of all values stays readable. TPE
    looks at how far a pruned trial came, so a constraint says it once more.
    """
    classes = len(spec.data.classes)
    return 10.0 * math.log(classes) if classes > 1 else 10.0


def ensure_study(storage: optuna.storages.RDBStorage, spec: StudySpec) -> None:
    """Make the Optuna study unless it is there, with the spec pinned."""
    study = optuna.create_study(
        study_name=spec.study, storage=storage, direction="minimize", load_if_exists=True
    )
    if study.user_attrs.get(SPEC_KEY) != spec.to_json():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna calls metric names experimental
            study.set_metric_names([METRIC])
        study.set_user_attr(SPEC_KEY, spec.to_json())


def refuse_foreign(storage: optuna.storages.RDBStorage, name: str) -> None:
    """Refuse the name of an Optuna study that somebody else made in this storage.

    Raises:
        StudyError: There is one.
    """
    if name not in optuna.get_all_study_names(storage):
        return
    # Asked after Optuna: another process that is creating this very study wrote our row first.
    with storage.engine.connect() as connection:
        ours = connection.execute(select(studies.c.name).where(studies.c.name == name)).first()
    if ours is None:
        raise StudyError(
            f"'{name}' is a study of Optuna's that was not made here", mend="give another --study"
        )


class Mirror:
    """One worker's view of the Optuna study."""

    def __init__(self, storage: optuna.storages.RDBStorage, spec: StudySpec, seed: int) -> None:
        self.storage, self.spec, self._seed = storage, spec, seed
        self.space = Space.from_json(dict(spec.space))
        self.reload()

    def reload(self) -> None:
        """Forget cached trials, for a finished one was voided."""
        self.study = optuna.load_study(
            study_name=self.spec.study,
            storage=Window(self.storage),
            sampler=sampler(self.spec, self._seed),
            pruner=pruner_row(self.spec.pruner).build(self.spec.epochs),
        )
        # TPE asks for the trials again for each of a space's forty-odd groups of parameters, which
        # is four fifths of a draw. One look for each draw says the same.
        look = self.study._get_trials
        self.study._get_trials = lambda deepcopy=True, states=None, use_cache=True: look(
            deepcopy, states, use_cache=True
        )

    def load(self) -> None:
        """Read what sampler and pruner look at, unless they look at nothing."""
        if self.spec.sampler != "random" or self.spec.pruner != "none":
            self.study._get_trials(deepcopy=False)

    def _look_again(self) -> None:
        """Let what others finished meanwhile count, as `Study.ask` does."""
        self.study._thread_local.cached_all_trials = None

    def trial_for(self, row: Row[Any]) -> tuple[int, int]:
        """Return Optuna's id and number of a task's running trial; made where there is none.

        A trial that an earlier attempt made stays the task's, and keeps its number.
        """
        given = Stack.from_json(row.stack) if row.stack else None
        trial_id = row.trial_id
        if trial_id is None and row.attempts > 1:
            trial_id = self._made_for(row)
        if trial_id is None:
            attributes: dict[str, Any] = {TASK_KEY: row.task_id, **attached.of_trial(row.task_id)}
            if given and (parameters := self.space.encode(given)) is not None:
                attributes["fixed_params"] = parameters
            template = optuna.trial.create_trial(
                state=TrialState.RUNNING, system_attrs=attributes, user_attrs=_told(row)
            )
            trial_id = self.study._storage.create_new_trial(self.study._study_id, template)
        elif row.attempts > 1:
            optunas.forget_curve(self.storage.engine, trial_id)
            self.study._storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        return trial_id, self.study._storage.get_trial(trial_id).number

    def draw(self, row: Row[Any], trial_id: int) -> Stack:
        """Draw the task's stack, or tell Optuna the parameters of the one it has."""
        self._look_again()
        given = Stack.from_json(row.stack) if row.stack else None
        storage = self.study._storage
        if given is None or "fixed_params" in storage.get_trial(trial_id).system_attrs:
            drawn = self.space.draw(Trial(self.study, trial_id))
        else:
            drawn = None
        stack = given or drawn
        assert stack is not None
        for key, value in (
            ("stack_id", stack.stack_id),
            ("family", stack.family),
            ("stack", stack.to_json()),
        ):
            storage.set_trial_user_attr(trial_id, key, value)
        return stack

    def report(self, trial_id: int, news: Iterable[Measurement], epochs: frozenset[int]) -> None:
        """Tell Optuna the validation loss at those of the epochs that it is told of."""
        with _ended():
            for measured in news:
                if measured.epoch in epochs:
                    self.study._storage.set_trial_intermediate_value(
                        trial_id, measured.epoch, measured.valid_loss
                    )

    def prune(self, trial_id: int) -> bool:
        """Ask the pruner whether to end a trial."""
        self._look_again()
        with _ended():
            trial = self.study._storage.get_trial(trial_id)
            return self.study.pruner.prune(self.study, trial)
        return False

    def wait(self, trial_id: int) -> None:
        """Show a trial that was given back as waiting."""
        with _ended():
            self.study._storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def end(self, row: Row[Any]) -> None:
        """Bring a task's trial to the state that its outcome means, and note that it is done."""
        trial_id = row.trial_id or self._made_for(row)
        if trial_id is not None:
            with _ended():
                self._end(trial_id, row)
        with self.storage.engine.begin() as connection:
            connection.execute(
                update(tasks).where(tasks.c.task_id == row.task_id).values(mirrored=True)
            )

    def _end(self, trial_id: int, row: Row[Any]) -> None:
        storage = self.study._storage
        state, value = TrialState.FAIL, None
        if row.outcome in ("completed", "pruned"):
            done = row.outcome == "completed"
            state, value = (TrialState.COMPLETE if done else TrialState.PRUNED), row.value
            for bound in read_all(self.spec.constraints):
                if (gap := bound.violation(row.metrics)) is not None:
                    Trial(self.study, trial_id).set_constraint(str(bound), gap)
        elif row.outcome in ("diverged", "infeasible"):
            state, value = TrialState.PRUNED, bad_value(self.spec)
            Trial(self.study, trial_id).set_constraint(_CONSTRAINT, 1.0)
        values = None if value is None else [value]
        told = {"outcome": row.outcome, "cause": row.cause, "attempts": row.attempts}
        for key, text in told.items():
            if text is not None:
                storage.set_trial_user_attr(trial_id, key, text)
        self.study.sampler.after_trial(self.study, storage.get_trial(trial_id), state, values)
        storage.set_trial_state_values(trial_id, state, values)

    def repair(self, grace_seconds: float = 5.0) -> int:
        """Bring Optuna's trials to where our tasks are; return how many were apart.

        Args:
            grace_seconds: Leave alone what ended less than this long ago: its worker is at it.
        """
        ago = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, grace_seconds)
        mine = select(studies.c.study_id).where(studies.c.name == self.spec.study).scalar_subquery()
        with self.storage.engine.connect() as connection:
            apart = connection.execute(
                select(tasks)
                .where(tasks.c.study_id == mine, tasks.c.status == "done")
                .where(tasks.c.kind == SEARCH, ~tasks.c.mirrored, tasks.c.finished_at <= ago)
            ).all()
        orphans = optunas.orphans(self.storage.engine, self.study._study_id, _GRACE_SECONDS)
        for row in apart:
            self.end(row)
        for trial_id in orphans:
            self.fail(trial_id)
        return len(apart) + len(orphans)

    def fail(self, trial_id: int) -> None:
        """End a trial that no task owns."""
        with _ended():
            self.study._storage.set_trial_state_values(trial_id, TrialState.FAIL)

    def _made_for(self, row: Row[Any]) -> int | None:
        """Find a trial that an earlier attempt made for a task but never wrote down there."""
        return optunas.made_for(self.storage.engine, self.study._study_id, row.task_id)


def _told(row: Row[Any]) -> dict[str, Any]:
    """What Optuna's tools show of a trial from its beginning."""
    told = {"seed": row.seed, "label": row.label, RETRY_OF: row.payload.get(RETRY_OF)}
    return {key: value for key, value in told.items() if value is not None}


@contextlib.contextmanager
def _ended() -> Iterator[None]:
    """Pass over a trial that ended meanwhile: our tables decide, not the order of two writers."""
    with contextlib.suppress(TrialEnded):
        yield
