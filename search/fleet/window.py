"""Optuna's storage as samplers and pruners see it: bounded, however many trials have finished.

Optuna's own cache reads every trial of a study when a process first asks, about 1 ms each, and TPE
goes through all of them for each group of a space's parameters. A claim would take seconds in a
study of ten thousand trials, and joining one of a hundred thousand minutes.
"""

from __future__ import annotations

from collections.abc import Iterable

from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage, _CachedStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import text

# TPE goes through all of them for each of a space's forty groups of parameters, and would weigh
# older ones ever less; a rung's best third is known to two percent of the trials.
LATEST = 500
# TPE takes no more for good ones (`default_gamma` in Optuna's TPE), so that with these kept its
# good trials are those of the whole study.
BEST = 25

_LAST_EARLIER = text(
    "SELECT trial_id FROM trials WHERE study_id = :study ORDER BY trial_id DESC "
    "OFFSET :latest LIMIT 1"
)
_OPEN = text(
    "SELECT trial_id FROM trials WHERE study_id = :study AND trial_id <= :last "
    "AND state IN ('RUNNING', 'WAITING')"
)
_BEST = text(
    "SELECT t.trial_id FROM trials t JOIN trial_values v ON v.trial_id = t.trial_id "
    "WHERE t.study_id = :study AND t.trial_id <= :last AND t.state = 'COMPLETE' AND NOT EXISTS ("
    "  SELECT FROM trial_system_attributes a WHERE a.trial_id = t.trial_id "
    "  AND a.key LIKE 'constraints:%' AND CAST(a.value_json AS double precision) > 0) "
    "ORDER BY v.value, t.trial_id LIMIT :best"
)


class Window(_CachedStorage):
    """Optuna's cached storage of which only the trials that matter are read and kept.

    Those are the latest, of the earlier ones the best that keep to the constraints, and whatever
    has not ended. What is asked of one trial by its id is answered for every trial.

    Args:
        backend: Where trials are.
        latest: How many of the latest.
        best: How many of the best among the earlier ones, by the least value.
    """

    def __init__(self, backend: RDBStorage, latest: int = LATEST, best: int = BEST) -> None:
        super().__init__(backend)
        self._latest, self._best = latest, best

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Write a parameter, also of a trial that another process made and nobody here has read."""
        known = trial_id in self._trial_id_to_study_id_and_number
        write = super().set_trial_param if known else self._backend.set_trial_param
        write(trial_id, param_name, param_value_internal, distribution)

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        if study_id not in self._studies or self._studies[study_id].last_finished_trial_id < 0:
            self._skip(study_id)
        super()._read_trials_from_remote_storage(study_id)
        self._drop(study_id)

    def _skip(self, study_id: int) -> None:
        """Note what to read of the earlier trials, as if the others had been read already."""
        asked = {"study": study_id, "latest": self._latest, "best": self._best}
        with self._backend.engine.connect() as connection:
            last = connection.execute(_LAST_EARLIER, asked).scalar()
            if last is None:
                return
            asked["last"] = last
            rows = [connection.execute(query, asked).all() for query in (_OPEN, _BEST)]
        wanted = {row.trial_id for found in rows for row in found}
        self.get_study_directions(study_id)  # makes the study known here
        with self._lock:
            self._studies[study_id].last_finished_trial_id = last
            self._studies[study_id].unfinished_trial_ids |= wanted

    def _drop(self, study_id: int) -> None:
        """Forget what is no longer among the latest, nor the best."""
        with self._lock:
            trials = self._studies[study_id].trials
            if len(trials) <= self._latest:
                return
            earlier = [trials[number] for number in sorted(trials)[: -self._latest]]
            for trial in _superfluous(earlier, self._best):
                del trials[trial.number]
                del self._trial_id_to_study_id_and_number[trial._trial_id]
                del self._study_id_and_number_to_trial_id[study_id, trial.number]


def _superfluous(earlier: Iterable[FrozenTrial], best: int) -> list[FrozenTrial]:
    """Return the trials that have ended and are not among the best."""
    done = [trial for trial in earlier if trial.state.is_finished()]
    good = [t for t in done if t.state == TrialState.COMPLETE and max(_gaps(t)) <= 0]
    good.sort(key=lambda trial: (trial.values[0], trial.number))
    kept = {trial.number for trial in good[:best]}
    return [trial for trial in done if trial.number not in kept]


def _gaps(trial: FrozenTrial) -> list[float]:
    return [0.0, *trial.constraints.values()]
