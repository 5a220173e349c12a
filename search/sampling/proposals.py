"""A worker's proposals and pruning decisions, from the fleet's tables alone.

A sampler of Optuna reads its history from a study in memory, which holds a bounded number of
trials: TPE iterates over all of them for each group of a space's parameters, so that a draw among
ten thousand trials would take seconds.
"""

from __future__ import annotations

import threading
import warnings
from typing import Any

import optuna
from optuna.trial import TrialState
from sqlalchemy import Engine, select

from trainstack.search.database.schema import studies
from trainstack.search.evidence.constraints import read_all
from trainstack.search.queue.search_trials import SearchTrial, trials_since, trials_to_remember
from trainstack.search.records import Outcome, Status
from trainstack.search.sampling.optuna_trials import TrialConverter
from trainstack.search.sampling.pruning import Seen, cut, pruner, seen
from trainstack.search.sampling.samplers import sampler
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack

# The latest trials. TPE would give older ones less weight; a rung's best third is known to two
# percent of them.
LATEST = 500
# The best earlier trials. TPE uses at most this many good trials (`default_gamma` in Optuna's TPE),
# so its good trials are those of the whole study.
BEST = 25
# The history is read anew when this number of trials was added to it.
GROWTH = 1000


class Proposals:
    """Proposes stacks for a study and decides about pruning.

    Args:
        engine: The database.
        study_id: Id of the study.
        spec: Spec of the study.
        seed: Seed of the sampler.
        latest: Number of latest trials to remember.
        best: Number of best earlier trials to remember.
    """

    def __init__(
        self,
        engine: Engine,
        study_id: int,
        spec: StudySpec,
        seed: int,
        latest: int = LATEST,
        best: int = BEST,
    ) -> None:
        self._engine, self._study_id, self.spec = engine, study_id, spec
        self._latest, self._best = latest, best
        self._converter, self.pruner = TrialConverter(spec), pruner(spec.pruner)
        self.space = self._converter.space
        self._sampler, self._learns = sampler(spec, seed), spec.sampler != "random"
        self._lock, self._revision = threading.Lock(), -1
        self._trials: dict[int, SearchTrial] = {}
        self._history = self._empty()
        # Number of a trial → its number in memory.
        self._placed: dict[int, int] = {}

    def _empty(self) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.create_study(sampler=self._sampler)

    @property
    def _size(self) -> int:
        return len(self._history.get_trials(deepcopy=False))

    def refresh(self) -> None:
        """Read trials that are new or had not ended; read all anew if ended ones have changed.

        Does nothing if neither the sampler nor the pruner uses trials.
        """
        if not (self._learns or self.pruner.rungs):
            return
        with self._lock, self._engine.connect() as connection:
            query = select(studies.c.revision).where(studies.c.study_id == self._study_id)
            revision = connection.execute(query).scalar_one()
            size = max(self._size, len(self._trials))
            if revision != self._revision or size > self._latest + self._best + GROWTH:
                bounds = read_all(self.spec.constraints)
                found = trials_to_remember(
                    connection, self._study_id, self._latest, self._best, bounds
                )
                # After the read: one that fails is repeated as a whole.
                self._revision, self._trials, self._placed = revision, {}, {}
                self._history = self._empty()
            else:
                unfinished = [n for n, trial in self._trials.items() if trial.status != Status.DONE]
                last = max(self._trials, default=-1)
                found = trials_since(connection, self._study_id, last, unfinished)
            for trial in found:
                self._remember(trial)

    def _remember(self, trial: SearchTrial) -> None:
        """Put a trial into the study in memory when it has begun, and again when it has ended."""
        before = self._trials.get(trial.number)
        self._trials[trial.number] = trial
        same = before is not None and (before.status, before.stack) == (trial.status, trial.stack)
        if same or not self._learns:
            return
        if (place := self._placed.pop(trial.number, None)) is not None:
            self._history.tell(place, state=TrialState.FAIL)
        if trial.parameters is None or trial.status == Status.WAITING:
            return
        if trial.status == Status.RUNNING:
            self._placed[trial.number] = self._size
        self._history.add_trial(self._converter.frozen(trial))

    def propose(self) -> tuple[Stack, dict[str, Any]]:
        """Return a stack to train and its parameters. Nothing is written."""
        self.refresh()
        with self._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            history = self._history if self._learns else self._empty()
            trial = history.ask()
            try:
                return self.space.draw(trial), dict(trial.params)
            finally:
                # The trial enters the history with its row in the database.
                history.tell(trial, state=TrialState.FAIL)

    def prune(self, number: int, share: float) -> bool:
        """Return whether to prune a trial at a rung, given as a share of its plan."""
        self.refresh()
        found: dict[int, Seen] = {}
        with self._lock:
            for trial in self._trials.values():
                sound = trial.cached_of is None and trial.outcome is not Outcome.VOIDED
                if trial.stack is not None and sound:
                    at = seen(self.pruner, trial.stack, share, trial.curve, self.spec.epochs)
                    found |= {} if at is None else {trial.number: at}
        mine = found.pop(number, None)
        return mine is not None and cut(self.pruner, mine, found.values())
