"""Storage of the dashboard: studies from Optuna's storage, their trials from the fleet's tables.

The page gets each trial as 7 kB of JSON and draws a line for each learning curve: ten thousand of
them stop a browser for minutes. So it lists a bounded number of trials, and never a stale one.
"""

from __future__ import annotations

import copy
import heapq
import threading
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, select

from trainstack.search.database.schema import studies, tasks
from trainstack.search.evidence.constraints import read_all
from trainstack.search.queue.rows import StudyRow, study_of
from trainstack.search.queue.search_trials import read_trials, trials_since, trials_to_remember
from trainstack.search.records import SEARCH
from trainstack.search.sampling import trial_files
from trainstack.search.sampling.optuna_trials import TrialConverter
from trainstack.search.spec import StudySpec

# In a study of more than MANY trials, only the latest and the best DRAWN keep their curves; those
# of the others are shown by `trainstack trials` and among their artifacts.
MANY, DRAWN = 500, 50
# Numbers of trials listed: the latest, and the best of those before.
LATEST, BEST = 1000, 50
# Ids of our trials are those of their tasks, beyond all ids of trials in Optuna's storage.
_OURS = 2**32


@dataclass
class _Listed:
    """The trials of one of our studies, as last read."""

    revision: Any
    converter: TrialConverter
    trials: dict[int, FrozenTrial] = field(default_factory=dict)


class DashboardStorage(BaseStorage):
    """Optuna's storage, with the trials of our studies from the fleet's tables, read-only.

    Lists only the latest and the best trials, and those that appear after the first look; lookups
    by id work for every trial.

    Args:
        backend: Optuna's storage.
        engine: The database.
        latest: Number of latest trials to list.
        best: Number of best earlier trials to list.
    """

    def __init__(
        self, backend: RDBStorage, engine: Engine, latest: int = LATEST, best: int = BEST
    ) -> None:
        self._backend, self._engine = backend, engine
        self._latest, self._best = latest, best
        self._listed: dict[str, _Listed] = {}
        self._reading = threading.Lock()

    def _ours(self, study_id: int) -> StudyRow | None:
        """Return the row of the fleet's study for an Optuna study; None if it is not ours."""
        named = studies.c.name == self.get_study_name_from_id(study_id)
        with self._engine.connect() as connection:
            row = connection.execute(select(studies).where(named)).first()
        return None if row is None else study_of(row)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the listed trials of a study, by number."""
        row = self._ours(study_id)
        if row is None:
            return self._backend.get_all_trials(study_id, deepcopy, states)
        with self._reading:
            found = self._read(row)
        kept = [trial for trial in found if states is None or trial.state in states]
        return copy.deepcopy(kept) if deepcopy else kept

    def _read(self, study: StudyRow) -> list[FrozenTrial]:
        """Read what is new, what had not ended, and all if ended trials have changed."""
        revision = (study.study_id, study.revision, study.phase)
        listed = self._listed.get(study.name)
        with self._engine.connect() as connection:
            if listed is None or listed.revision != revision:
                spec = StudySpec.from_json(study.spec)
                bounds = read_all(spec.constraints)
                found = trials_to_remember(
                    connection, study.study_id, self._latest, self._best, bounds
                )
                listed = self._listed[study.name] = _Listed(revision, TrialConverter(spec))
            else:
                unfinished = [n for n, t in listed.trials.items() if not t.state.is_finished()]
                last = max(listed.trials, default=-1)
                found = trials_since(connection, study.study_id, last, unfinished)
            for trial in found:
                frozen = listed.converter.frozen(trial, _OURS + trial.task_id)
                listed.trials[trial.number] = frozen
            number, model = trial_files.of_model(connection, study.study_id)
        if number in listed.trials:
            listed.trials[number].system_attrs |= model
        trials = [listed.trials[number] for number in sorted(listed.trials)]
        if len(trials) > MANY:
            _thin_out(trials)
        return trials

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial, listed or not.

        Raises:
            KeyError: There is no such trial.
        """
        if trial_id < _OURS:
            return self._backend.get_trial(trial_id)
        with self._engine.connect() as connection:
            study = connection.execute(
                select(studies)
                .join(tasks, tasks.c.study_id == studies.c.study_id)
                .where(tasks.c.task_id == trial_id - _OURS)
            ).first()
            if study is None:
                raise KeyError(trial_id)
            only = tasks.c.task_id == trial_id - _OURS
            found = read_trials(connection, study.study_id, only)
            number, model = trial_files.of_model(connection, study.study_id)
        if not found:
            raise KeyError(trial_id)
        frozen = TrialConverter(StudySpec.from_json(study.spec)).frozen(found[0], trial_id)
        if number == frozen.number:
            frozen.system_attrs |= model
        return frozen

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Return the id of a trial, listed or not.

        Raises:
            KeyError: There is no such trial.
        """
        row = self._ours(study_id)
        if row is None:
            return self._backend.get_trial_id_from_study_id_trial_number(study_id, trial_number)
        mine = (tasks.c.study_id == row.study_id) & (tasks.c.kind == SEARCH)
        with self._engine.connect() as connection:
            query = select(tasks.c.task_id).where(mine, tasks.c.number == trial_number)
            task_id = connection.execute(query).scalar()
        if task_id is None:
            raise KeyError(f"no trial {trial_number} in study '{row.name}'")
        return _OURS + task_id

    # Trials of our studies are written by the fleet alone.

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial of a study that is not ours."""
        if self._ours(study_id) is not None:
            _refuse()
        return self._backend.create_new_trial(study_id, template_trial)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter of a trial that is not ours."""
        writable = self._writable(trial_id)
        writable.set_trial_param(trial_id, param_name, param_value_internal, distribution)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set the state of a trial that is not ours."""
        return self._writable(trial_id).set_trial_state_values(trial_id, state, values)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Set an intermediate value of a trial that is not ours."""
        self._writable(trial_id).set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute of a trial that is not ours."""
        self._writable(trial_id).set_trial_user_attr(trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute of a trial that is not ours."""
        self._writable(trial_id).set_trial_system_attr(trial_id, key, value)

    def _writable(self, trial_id: int) -> RDBStorage:
        return _refuse() if trial_id >= _OURS else self._backend

    # Studies are Optuna's.

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study."""
        return self._backend.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        """Delete a study from Optuna's storage; ours is exported again with its next change."""
        self._backend.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute of a study."""
        self._backend.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute of a study, such as its note."""
        self._backend.set_study_system_attr(study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the id of a study."""
        return self._backend.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the name of a study."""
        return self._backend.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return the directions of a study."""
        return self._backend.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the attributes of a study."""
        return self._backend.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the attributes of a study, such as its note."""
        return self._backend.get_study_system_attrs(study_id)

    def get_all_studies(self) -> list[Any]:
        """Return all studies."""
        return self._backend.get_all_studies()


def _refuse() -> NoReturn:
    raise UpdateFinishedTrialError("trials of this study are written by trainstack only")


def _thin_out(trials: Sequence[FrozenTrial]) -> None:
    """Remove curves and stacks from trials that are neither among the latest nor the best."""
    done = [trial for trial in trials if trial.state.is_finished()]
    latest = heapq.nlargest(DRAWN, done, key=lambda trial: trial.number)
    completed = [trial for trial in done if trial.state is TrialState.COMPLETE]
    best = heapq.nsmallest(DRAWN, completed, key=lambda trial: trial.values[0])
    kept = {trial.number for trial in (*latest, *best)}
    for trial in done:
        if trial.number not in kept:
            trial.intermediate_values = {}
            trial.user_attrs.pop("stack", None)
