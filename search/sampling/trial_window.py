"""Optuna's storage for samplers and pruners, with a bounded number of finished trials.

Optuna's own cache reads every trial of a study on first use, about 1 ms each, and TPE iterates over
all of them for each group of a space's parameters. A claim would take seconds in a study of ten
thousand trials, and joining a study of a hundred thousand would take minutes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage, _CachedStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import text

from trainstack.search.sampling.optuna_reading import read_trials

# TPE iterates over all of them for each of a space's forty groups of parameters, and would give
# older ones less weight; a rung's best third is known to two percent of the trials.
LATEST = 500
# TPE uses at most this many good trials (`default_gamma` in Optuna's TPE), so its good trials are
# those of the whole study.
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


class TrialWindow(_CachedStorage):
    """Optuna's cached storage limited to the latest and the best trials.

    It holds the latest trials, the best earlier ones that satisfy the constraints, and all that
    have not ended. Lookups by id work for every trial.

    Args:
        backend: The storage.
        latest: Number of latest trials.
        best: Number of best earlier trials, by least value.
    """

    def __init__(self, backend: RDBStorage, latest: int = LATEST, best: int = BEST) -> None:
        super().__init__(backend)
        self._latest, self._best = latest, best
        self._drafts: dict[int, FrozenTrial] = {}

    @contextlib.contextmanager
    def draft(self, trial_id: int, number: int, fixed: Mapping[str, Any]) -> Iterator[FrozenTrial]:
        """Sample a running trial without parameters in memory.

        Args:
            trial_id: Optuna's id of the trial.
            number: Number of the trial.
            fixed: Parameters that are not sampled.

        Returns:
            The trial, to which parameters sampled within the context are added.
        """
        draft = optuna.trial.create_trial(
            state=TrialState.RUNNING, system_attrs={"fixed_params": dict(fixed)}
        )
        draft.number, draft._trial_id = number, trial_id
        self._drafts[trial_id] = draft
        try:
            yield draft
        finally:
            del self._drafts[trial_id]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial, or its draft while it is being sampled."""
        draft = self._drafts.get(trial_id)
        return super().get_trial(trial_id) if draft is None else draft

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Write a parameter, or keep it in a draft."""
        if (draft := self._drafts.get(trial_id)) is None:
            super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
            return
        draft.distributions[param_name] = distribution
        draft.params[param_name] = distribution.to_external_repr(param_value_internal)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write a system attribute, or keep it in a draft.

        Attributes of a draft are discarded: TPE announces the parameters that it is about to
        sample, including arms not taken, but other workers see the trial once it is complete.
        """
        if (draft := self._drafts.get(trial_id)) is None:
            super().set_trial_system_attr(trial_id, key, value)
        else:
            draft.system_attrs[key] = value

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        self.get_study_directions(study_id)  # adds the study to the cache, or raises KeyError
        with self._lock:
            if self._studies[study_id].last_finished_trial_id < 0:
                self._skip(study_id)
            self._read(study_id)
            self._drop(study_id)

    def _read(self, study_id: int) -> None:
        """Read new trials and those that had not ended."""
        study = self._studies[study_id]
        last, unfinished = study.last_finished_trial_id, study.unfinished_trial_ids
        trials = read_trials(self._backend.engine, study_id, last, unfinished)
        self._add_trials_to_cache(study_id, trials)
        for trial in trials:
            if trial.state.is_finished():
                last = study.last_finished_trial_id = max(last, trial._trial_id)
                unfinished.discard(trial._trial_id)
            else:
                unfinished.add(trial._trial_id)

    def _skip(self, study_id: int) -> None:
        """Mark all earlier trials as read except those to keep."""
        asked = {"study": study_id, "latest": self._latest, "best": self._best}
        with self._backend.engine.connect() as connection:
            last = connection.execute(_LAST_EARLIER, asked).scalar()
            if last is None:
                return
            asked["last"] = last
            rows = [connection.execute(query, asked).all() for query in (_OPEN, _BEST)]
        wanted = {row.trial_id for found in rows for row in found}
        self._studies[study_id].last_finished_trial_id = last
        self._studies[study_id].unfinished_trial_ids |= wanted

    def _drop(self, study_id: int) -> None:
        """Drop trials that are neither among the latest nor the best."""
        trials = self._studies[study_id].trials
        if len(trials) <= self._latest:
            return
        earlier = [trials[number] for number in sorted(trials)[: -self._latest]]
        for trial in _superfluous(earlier, self._best):
            del trials[trial.number]
            del self._trial_id_to_study_id_and_number[trial._trial_id]
            del self._study_id_and_number_to_trial_id[study_id, trial.number]


def _superfluous(earlier: Iterable[FrozenTrial], best: int) -> list[FrozenTrial]:
    """Return the ended trials that are not among the best."""
    done = [trial for trial in earlier if trial.state.is_finished()]
    good = [t for t in done if t.state == TrialState.COMPLETE and max(_gaps(t)) <= 0]
    good.sort(key=lambda trial: (trial.values[0], trial.number))
    kept = {trial.number for trial in good[:best]}
    return [trial for trial in done if trial.number not in kept]


def _gaps(trial: FrozenTrial) -> list[float]:
    return [0.0, *trial.constraints.values()]
