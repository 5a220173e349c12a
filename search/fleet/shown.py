"""Optuna's storage as the dashboard reads it: many trials at once, and never an old view of them.

Optuna's own reading goes through its object mapper, 1 to 2 ms a trial, and parses each parameter's
distribution twice; its cache never looks again at a trial that has ended, though one may be voided.
And the page gets every trial as 7 kB of JSON and draws a line for each that has a learning curve:
ten thousand of them stop a browser for minutes.
"""

from __future__ import annotations

import functools
import heapq
import json
import math
import threading
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _StudyInfo
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, text

from search.fleet.window import Window

# In a study of more trials than so many only some are shown with their curves: so many of the
# latest and of the best. Those of the others stand in `trials`, and among their artifacts.
MANY, DRAWN = 500, 50
# Of the trials themselves so many of the latest are listed, and so many of the best before them.
LATEST, BEST = 1000, 50
_NUMBERS = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}
_WANTED = "t.study_id = :study AND (t.trial_id > :last OR t.trial_id = ANY(:also))"
_TRIALS = f"SELECT t.* FROM trials t WHERE {_WANTED} ORDER BY t.trial_id"
# What changes when trials that had ended are no longer what they were, or have more to offer.
_REVISION = text(
    "SELECT s.voided, s.phase FROM trainstack_studies s "
    "JOIN studies o ON o.study_name = s.name WHERE o.study_id = :study"
)


class Shown(Window):
    """Optuna's cached storage, read in bulk, and anew when trials that had ended have changed.

    Of more trials than a page can draw the latest and the best are listed; what is asked of one by
    its id is answered for every trial.
    """

    def __init__(self, backend: RDBStorage, latest: int = LATEST, best: int = BEST) -> None:
        super().__init__(backend, latest, best)
        self._revisions: dict[int, Any] = {}
        self._reading = threading.Lock()

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        with self._backend.engine.connect() as connection:
            revision = connection.execute(_REVISION, {"study": study_id}).first()
        with self._reading:
            if study_id not in self._revisions or self._revisions[study_id] != revision:
                self._revisions[study_id] = revision
                with self._lock:
                    self._studies.pop(study_id, None)
                self._skip(study_id)
            with self._lock:
                self._read(study_id)

    def _read(self, study_id: int) -> None:
        """Read what is new or had not ended. Nothing is dropped: pages ask for what they lack."""
        study = self._studies.setdefault(study_id, _StudyInfo())
        last, unfinished = study.last_finished_trial_id, study.unfinished_trial_ids
        trials = read_trials(self._backend.engine, study_id, last, unfinished)
        self._add_trials_to_cache(study_id, trials)
        for trial in trials:
            if trial.state.is_finished():
                last = study.last_finished_trial_id = max(last, trial._trial_id)
                unfinished.discard(trial._trial_id)
            else:
                unfinished.add(trial._trial_id)
        if len(study.trials) > MANY:
            _thin_out(list(study.trials.values()))


def _thin_out(trials: Sequence[FrozenTrial]) -> None:
    """Take their curves, and the stack that their parameters say, from trials that nobody reads."""
    done = [trial for trial in trials if trial.state.is_finished()]
    latest = heapq.nlargest(DRAWN, done, key=lambda trial: trial.number)
    completed = [trial for trial in done if trial.state is TrialState.COMPLETE]
    best = heapq.nsmallest(DRAWN, completed, key=lambda trial: trial.values[0])
    kept = {trial.number for trial in (*latest, *best)}
    for trial in done:
        if trial.number not in kept:
            trial.intermediate_values = {}
            trial.user_attrs.pop("stack", None)


def read_trials(
    engine: Engine, study_id: int, last: int = -1, also: Collection[int] = ()
) -> list[FrozenTrial]:
    """Read an Optuna study's trials, in a few queries however many they are.

    Args:
        engine: Where.
        study_id: Optuna's.
        last: Only trials whose id is above this.
        also: Ids of trials that are read, too.
    """
    asked = {"study": study_id, "last": last, "also": list(also)}
    snapshot = engine.connect().execution_options(isolation_level="REPEATABLE READ")
    with snapshot as connection:
        rows = connection.execute(text(_TRIALS), asked).all()
        if not rows:
            return []
        read = functools.partial(_by_trial, connection, asked)
        params = read("trial_params", "param_name, param_value, distribution_json", "param_id")
        values = read("trial_values", "objective, value, value_type", "objective")
        steps = read(
            "trial_intermediate_values",
            "step, intermediate_value, intermediate_value_type",
            "trial_intermediate_value_id",
        )
        said = read("trial_user_attributes", "key, value_json", "trial_user_attribute_id")
        system = read("trial_system_attributes", "key, value_json", "trial_system_attribute_id")
    found = []
    for row in rows:
        key = row.trial_id
        drawn = {name: (_distribution(how), value) for name, value, how in params[key]}
        found.append(
            FrozenTrial(
                number=row.number,
                state=TrialState[row.state],
                value=None,
                values=[_number(value, kind) for _, value, kind in values[key]] or None,
                datetime_start=row.datetime_start,
                datetime_complete=row.datetime_complete,
                params={name: how.to_external_repr(value) for name, (how, value) in drawn.items()},
                distributions={name: how for name, (how, _) in drawn.items()},
                user_attrs={name: json.loads(value) for name, value in said[key]},
                system_attrs={name: json.loads(value) for name, value in system[key]},
                intermediate_values={step: _number(v, kind) for step, v, kind in steps[key]},
                trial_id=key,
            )
        )
    return found


def _by_trial(
    connection: Connection, asked: dict[str, Any], name: str, columns: str, order: str
) -> dict[int, list[Any]]:
    """Return rows of one of Optuna's tables by trial."""
    query = (
        f"SELECT c.trial_id, {', '.join('c.' + part for part in columns.split(', '))} "
        f"FROM {name} c JOIN trials t ON t.trial_id = c.trial_id WHERE {_WANTED} ORDER BY c.{order}"
    )
    found: dict[int, list[Any]] = defaultdict(list)
    for trial_id, *cells in connection.execute(text(query), asked):
        found[trial_id].append(cells)
    return found


@functools.lru_cache(maxsize=4096)
def _distribution(said: str) -> BaseDistribution:
    return json_to_distribution(said)


def _number(value: float | None, kind: str) -> float:
    return _NUMBERS[kind] if value is None else value
