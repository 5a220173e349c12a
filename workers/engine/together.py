"""Training several networks of one structure at once, each as it is trained alone."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from trainstack.search.records import Result
from trainstack.workers.engine.bundle import Bundle
from trainstack.workers.engine.bundle_data import BundleData
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.epoch import EpochPlan, EpochResult
from trainstack.workers.engine.training import EndedError, Judge, Training


@dataclass
class _Member:
    """A network in training: its generator, its next plan, its place in the bundle."""

    training: Training
    epochs: Generator[EpochPlan, EpochResult, Result]
    data: DeviceData
    plan: EpochPlan | None = None
    result: Result | None = None

    def go_on(self, found: EpochResult | None) -> None:
        """Take the result of an epoch (None at the start) and plan the next one, or end."""
        try:
            self.plan = next(self.epochs) if found is None else self.epochs.send(found)
        except StopIteration as ended:
            self.plan, self.result = None, ended.value

    def end(self, outcome: str) -> None:
        """End a training that goes on."""
        try:
            self.epochs.throw(EndedError(outcome))
        except StopIteration as ended:
            self.plan, self.result = None, ended.value


def train_together(
    bundle: Bundle,
    trainings: Sequence[Training],
    data: Sequence[DeviceData],
    judges: Sequence[Judge],
    make: Callable[[int], Bundle],
    after_epoch: Callable[[], str | None] = lambda: None,
) -> list[Result]:
    """Train networks of one structure in one program; each ends as it does alone.

    Those that are left continue in a smaller bundle when this is estimated to save more time than
    tracing its program takes.

    Args:
        bundle: A bundle that holds the networks' initial state.
        trainings: The networks' trainings. Their `program` becomes a place in the bundle.
        data: Their splits.
        judges: Their judges, as in `Training.run`.
        make: Returns a bundle for a number of networks.
        after_epoch: Called after each epoch of all networks; an outcome ends those that are left.

    Returns:
        Their results, in order. Each training's `best_weights` are its network's.
    """
    for place, training in zip(bundle.places, trainings, strict=True):
        training.program = place
    members = [
        _Member(training, training.epochs_of(split.rows[0], judge), split)
        for training, split, judge in zip(trainings, data, judges, strict=True)
    ]
    for member in members:
        member.go_on(None)
    here, parts = members, BundleData.of(data)
    while any(member.plan for member in here):
        plans = [member.plan for member in here]
        stacks = [member.training.stack for member in here]
        found = bundle.epoch(stacks, parts, plans)
        for member, result in zip(here, found, strict=True):
            if member.plan is not None:
                member.go_on(result)
        going = [member for member in here if member.plan is not None]
        if going and (outcome := after_epoch()) is not None:
            for member in going:
                member.end(outcome)
        if going and _saved(going, here, found) > bundle.first_seconds:
            kept = [here.index(member) for member in going]
            smaller = make(len(going))
            smaller.take(bundle, kept)
            bundle, here = smaller, going
            parts = BundleData.of([member.data for member in here])
            for place, member in zip(bundle.places, here, strict=True):
                member.training.program = place
    return [member.result for member in members if member.result is not None]


def _saved(going: Sequence[_Member], here: Sequence[_Member], last: Sequence[EpochResult]) -> float:
    """Estimate the seconds that a bundle of those left saves until the longest plan's end.

    Args:
        going: Those left.
        here: All in the bundle now.
        last: Their results of the last epoch, each with its share of the time.
    """
    left = max(member.training.epochs_left for member in going)
    return left * last[0].seconds * (len(here) - len(going))
