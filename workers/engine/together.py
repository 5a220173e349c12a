"""Training several networks of one structure together, each as it is trained alone."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from trainstack.search.records import Result
from trainstack.workers.engine.bundle import Bundle
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.epoch import EpochPlan, EpochResult
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.training import EndedError, Judge, Training
from trainstack.workers.engine.turns import Turns


@dataclass
class _Member:
    """A network in training: its generator, its next plan."""

    training: Training
    epochs: Generator[EpochPlan, EpochResult, Result]
    data: DeviceData | StreamedData
    plan: EpochPlan | None = None

    def go_on(self, found: EpochResult | None) -> None:
        """Take the result of an epoch (None at the start) and plan the next one, or end."""
        try:
            self.plan = next(self.epochs) if found is None else self.epochs.send(found)
        except StopIteration:
            self.plan = None

    def end(self, outcome: str) -> None:
        """End a training that goes on."""
        try:
            self.epochs.throw(EndedError(outcome))
        except StopIteration:
            self.plan = None


def train_together(
    group: Bundle | Turns,
    trainings: Sequence[Training],
    data: Sequence[DeviceData | StreamedData],
    judges: Sequence[Judge],
    make: Callable[[int], Bundle] | None = None,
    after_epoch: Callable[[], str | None] = lambda: None,
) -> list[Result]:
    """Train networks of one structure with one program; each ends as it does alone.

    Those that are left of a bundle continue in a smaller one when this is estimated to save more
    time than tracing its program takes.

    Args:
        group: A bundle, or networks that take turns, in their initial state.
        trainings: The networks' trainings. Their `program` becomes a place in the group.
        data: Their splits.
        judges: Their judges, as in `Training.run`.
        make: Returns a bundle for a number of networks; None: none is made.
        after_epoch: Called after each epoch of all networks; an outcome ends those that are left.

    Returns:
        Their results, in order. Each training's `best_weights` are its network's.
    """
    for place, training in zip(group.places, trainings, strict=True):
        training.program = place
    members = [
        _Member(training, training.epochs_of(split.rows[0], judge), split)
        for training, split, judge in zip(trainings, data, judges, strict=True)
    ]
    for member in members:
        member.go_on(None)
    here, parts = members, _joined(group, members)
    while any(member.plan for member in here):
        plans = [member.plan for member in here]
        stacks = [member.training.stack for member in here]
        found = group.epoch(stacks, parts, plans)
        for member, result in zip(here, found, strict=True):
            if member.plan is not None:
                member.go_on(result)
        going = [member for member in here if member.plan is not None]
        if going and (outcome := after_epoch()) is not None:
            for member in going:
                member.end(outcome)
            going = []
        if make is None or not going or not isinstance(group, Bundle):
            continue
        if _saved(going, here, found) > group.first_seconds:
            kept = [here.index(member) for member in going]
            smaller = make(len(going))
            smaller.take(group, kept)
            group, here = smaller, going
            parts = _joined(group, here)
            for place, member in zip(group.places, here, strict=True):
                member.training.program = place
    return [training.result for training in trainings if training.result is not None]


def _joined(group: Bundle | Turns, members: Sequence[_Member]) -> Any:
    splits: list[Any] = [member.data for member in members]
    return group.joined(splits)


def _saved(
    going: Sequence[_Member], here: Sequence[_Member], last: Sequence[EpochResult | None]
) -> float:
    """Estimate the seconds that a bundle of those left saves until the longest plan's end.

    Args:
        going: Those left.
        here: All in the bundle now.
        last: Their results of the last epoch, each with its share of the time.
    """
    left = max(member.training.epochs_left for member in going)
    seconds = next(result.seconds for result in last if result is not None)
    return left * seconds * (len(here) - len(going))
