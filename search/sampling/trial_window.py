"""Optuna's storage as samplers and pruners see it: bounded, however many trials have finished.

Optuna's own cache reads every trial of a study when a process first asks, about 1 ms each, and TPE
goes through all of them for each group of a space's parameters. A claim would take seconds in a
study of ten thousand trials, and joining one of a hundred thousand minutes.
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


class TrialWindow(_CachedStorage):
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
        self._drafts: dict[int, FrozenTrial] = {}

    @contextlib.contextmanager
    def draft(self, trial_id: int, number: int, fixed: Mapping[str, Any]) -> Iterator[FrozenTrial]:
        """Let a trial that runs, and has nothing yet, be drawn in memory.

        Args:
            trial_id: Optuna's id of it.
            number: Its number.
            fixed: Parameters that are not to be drawn.

        Returns:
            The trial, to which everything is added that is asked of it within.
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
        """Return a trial, as far as it has been drawn."""
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
        """Write an attribute of the sampler's or pruner's, or keep it in a draft.

        With a draft it goes: TPE tells others what it is about to draw, arms that it then does not
        take included, and a trial is shown to them when it has been drawn.
        """
        if (draft := self._drafts.get(trial_id)) is None:
            super().set_trial_system_attr(trial_id, key, value)
        else:
            draft.system_attrs[key] = value

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        self.get_study_directions(study_id)  # makes the study known here; KeyError: there is none
        with self._lock:
            if self._studies[study_id].last_finished_trial_id < 0:
                self._skip(study_id)
            self._read(study_id)
            self._drop(study_id)

    def _read(self, study_id: int) -> None:
        """Read what is new, and what had not ended."""
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
        """Note what to read of the earlier trials, as if the others had been read already."""
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
        """Forget what is no longer among the latest, nor the best."""
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
