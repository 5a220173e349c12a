"""Optuna's storage as the dashboard reads it: not too many trials, and never an old view of them.

Optuna's cache never looks again at a trial that has ended, though one may be voided. And the page
gets every trial as 7 kB of JSON and draws a line for each that has a learning curve:
ten thousand of them stop a browser for minutes.
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

# In a study of more trials than so many only some are shown with their curves: so many of the
# latest and of the best. Those of the others stand in `trials`, and among their artifacts.
MANY, DRAWN = 500, 50
# Of the trials themselves so many of the latest are listed, and so many of the best before them.
LATEST, BEST = 1000, 50
# What changes when trials that had ended are no longer what they were, or have more to offer.
_REVISION = text(
    "SELECT s.voided, s.phase FROM trainstack_studies s "
    "JOIN studies o ON o.study_name = s.name WHERE o.study_id = :study"
)


class DashboardStorage(TrialWindow):
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
            if self._revisions.setdefault(study_id, revision) != revision:
                self._revisions[study_id] = revision
                with self._lock:
                    self._studies.pop(study_id, None)
            super()._read_trials_from_remote_storage(study_id)

    def _drop(self, study_id: int) -> None:
        """Drop nothing, for pages ask for what they lack, but thin out what nobody reads."""
        study = self._studies[study_id]
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
