"""Optuna's storage for the dashboard: a bounded number of trials, and never a stale view.

Optuna's cache never reads a trial again that has ended, although it may be voided. The page gets
each trial as 7 kB of JSON and draws a line for each learning curve: ten thousand of them stop a
browser for minutes.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Sequence
from typing import Any

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import text

from trainstack.search.sampling.trial_window import TrialWindow

# In a study of more than MANY trials, only the latest and the best DRAWN keep their curves; those
# of the others are shown by `trainstack trials` and among their artifacts.
MANY, DRAWN = 500, 50
# Numbers of trials listed: the latest, and the best of those before.
LATEST, BEST = 1000, 50
# Changes when trials that had ended are voided or gain artifacts.
_REVISION = text(
    "SELECT s.voided, s.phase FROM trainstack_studies s "
    "JOIN studies o ON o.study_name = s.name WHERE o.study_id = :study"
)


class DashboardStorage(TrialWindow):
    """Optuna's cached storage, read in bulk, and read again when ended trials have changed.

    Lists only the latest and the best trials; lookups by id work for every trial.
    """

    def __init__(self, backend: RDBStorage, latest: int = LATEST, best: int = BEST) -> None:
        super().__init__(backend, latest, best)
        self._revisions: dict[int, Any] = {}
        self._reading = threading.Lock()

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        with self._backend.engine.connect() as connection:
            revision = connection.execute(_REVISION, {"study": study_id}).first()
        with self._reading:
            if self._revisions.setdefault(study_id, revision) != revision:
                self._revisions[study_id] = revision
                with self._lock:
                    self._studies.pop(study_id, None)
            super()._read_trials_from_remote_storage(study_id)

    def _drop(self, study_id: int) -> None:
        """Keep all trials, as pages request missing ones, but drop details that are not shown."""
        study = self._studies[study_id]
        if len(study.trials) > MANY:
            _thin_out(list(study.trials.values()))


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
