"""Search trials as trials of Optuna: a pure function of the fleet's rows."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from optuna.trial import FixedTrial, FrozenTrial, TrialState

from trainstack.search.evidence.constraints import read_all
from trainstack.search.queue.search_trials import SearchTrial
from trainstack.search.records import Outcome, Status
from trainstack.search.sampling import trial_files
from trainstack.search.sampling.pruning import pruner, reported, step_of
from trainstack.search.spec import StudySpec
from trainstack.spaces.space import Space

# Name of the constraint that a trial without weights violates.
TRAINS = "trains"
_STATES: dict[str | None, TrialState] = {
    Outcome.COMPLETED: TrialState.COMPLETE,
    Outcome.PRUNED: TrialState.PRUNED,
    Outcome.DIVERGED: TrialState.PRUNED,
    Outcome.INFEASIBLE: TrialState.PRUNED,
}


def bad_value(spec: StudySpec) -> float:
    """Return the value of a trial that did not train in Optuna: ten times the trivial loss.

    Samplers that compare values rank it last, and plots of all values stay readable.
    """
    classes = len(spec.data.classes)
    return 10.0 * math.log(classes) if classes > 1 else 10.0


class TrialConverter:
    """Converts a study's search trials to Optuna's trials.

    Args:
        spec: Spec of the study.
    """

    def __init__(self, spec: StudySpec) -> None:
        self.spec, self.space = spec, Space.from_json(dict(spec.space))
        self._pruner, self._constraints = pruner(spec.pruner), read_all(spec.constraints)

    def frozen(self, trial: SearchTrial, trial_id: int = -1) -> FrozenTrial:
        """Return a trial as Optuna's, with times in the time zone of this process.

        A failed or voided trial has failed; a diverged or infeasible one was pruned with
        `bad_value` and violates the constraint TRAINS.

        Args:
            trial: The trial.
            trial_id: Its id in Optuna.
        """
        drawn = FixedTrial(dict(trial.parameters or {}))
        if trial.parameters:
            self.space.draw(drawn)
        state = self.state(trial)
        frozen = FrozenTrial(
            number=trial.number,
            trial_id=trial_id,
            state=state,
            value=self.value(trial),
            datetime_start=_local(trial.started),
            datetime_complete=_local(trial.ended) if state.is_finished() else None,
            params=drawn.params,
            distributions=drawn.distributions,
            user_attrs=self.attributes(trial),
            system_attrs=dict(trial_files.of_trial(trial.task_id)),
            intermediate_values=self.steps(trial),
        )
        for name, gap in self.violations(trial).items():
            frozen.set_constraint(name, gap)
        return frozen

    def state(self, trial: SearchTrial) -> TrialState:
        """Return Optuna's state of a trial."""
        if trial.status == Status.DONE:
            return _STATES.get(trial.outcome, TrialState.FAIL)
        return TrialState.RUNNING if trial.status == Status.RUNNING else TrialState.WAITING

    def value(self, trial: SearchTrial) -> float | None:
        """Return the value of a trial; None before it ends, and if it failed."""
        if trial.outcome in (Outcome.DIVERGED, Outcome.INFEASIBLE):
            return bad_value(self.spec)
        return trial.value if trial.outcome in (Outcome.COMPLETED, Outcome.PRUNED) else None

    def violations(self, trial: SearchTrial) -> dict[str, float]:
        """Return the violations of a trial by constraint; at most 0 if it is kept.

        A trial that did not train violates TRAINS: TPE ranks pruned trials by their last step.
        """
        if trial.outcome in (Outcome.DIVERGED, Outcome.INFEASIBLE):
            return {TRAINS: 1.0}
        if trial.outcome not in (Outcome.COMPLETED, Outcome.PRUNED):
            return {}
        gaps = {str(bound): bound.violation(trial.metrics) for bound in self._constraints}
        return {name: gap for name, gap in gaps.items() if gap is not None}

    def steps(self, trial: SearchTrial) -> dict[int, float]:
        """Return validation losses by Optuna's step (`step_of`), at the `reported` epochs.

        Empty for a copied result, which was not trained.
        """
        if trial.stack is None or trial.cached_of is not None:
            return {}
        most = self.spec.epochs
        planned = trial.stack.planned_epochs(most)
        return {
            step_of(self._pruner, epoch, planned, most): trial.curve[epoch - 1]
            for epoch in sorted(reported(self._pruner, planned))
            if epoch <= len(trial.curve)
        }

    def attributes(self, trial: SearchTrial) -> dict[str, Any]:
        """Return the user attributes of a trial, which Optuna's tools show."""
        found: dict[str, Any] = {"seed": trial.seed, "label": trial.label}
        if trial.stack is not None:
            found["stack_id"] = trial.stack.stack_id
            found["family"] = trial.stack.family_in(self.spec.voids)
            found["stack"] = trial.stack.to_json()
        if trial.status == Status.DONE:
            found |= {"outcome": trial.outcome, "cause": trial.cause, "attempts": trial.attempts}
            found["folds"] = list(trial.folds) or None
        return {name: value for name, value in found.items() if value is not None}


def _local(moment: datetime | None) -> datetime | None:
    """Return a time as naive local time, as Optuna holds it."""
    return None if moment is None else moment.astimezone().replace(tzinfo=None)
