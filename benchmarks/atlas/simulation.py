"""A search replayed on recorded curves: which trials finish, which are pruned, and when.

Workers take trials from a list in its order. A trial costs what its recorded run cost, ends when
the product's stopping rule ends it, and waits at each rung for the product's pruning rule, which
sees the trials that reached the rung before it. What a sampler would propose is not replayed: only
recorded stacks have curves.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from benchmarks.atlas.records import Run
from benchmarks.stopping import stopped_after
from trainstack.search.sampling.pruning import Pruner, Seen, cut
from trainstack.spaces.stack import Stack
from trainstack.spaces.stopping import heat


@dataclass(frozen=True)
class Trial:
    """A recorded run as a trial.

    Attributes:
        name: Name of the stack.
        stack: The stack.
        planned: Epochs of its plan.
        curve: Validation loss after each epoch until it stops; infinite where it diverged.
        build_seconds: Seconds before the first epoch.
        epoch_seconds: Seconds of an epoch.
    """

    name: str
    stack: Stack
    planned: int
    curve: tuple[float, ...]
    build_seconds: float
    epoch_seconds: float

    @classmethod
    def of(cls, run: Run) -> Trial:
        """Return the trial of a recorded run, ended by its stack's stopping rule."""
        stack = Stack.from_json(run.stack)
        planned = stack.planned_epochs(run.epochs)
        curve = tuple(math.inf if loss is None else loss for loss in run.loss)
        build, training = run.seconds
        length = stopped_after(stack, planned, curve)
        return cls(run.name, stack, planned, curve[:length], build, training / max(1, len(curve)))

    @property
    def seconds(self) -> float:
        """Seconds of the whole trial."""
        return self.seconds_to(len(self.curve))

    @property
    def loss(self) -> float:
        """Lowest validation loss; infinite if it diverged at once."""
        return min(self.curve, default=math.inf)

    def seconds_to(self, epoch: int) -> float:
        """Return the seconds until an epoch has ended."""
        return self.build_seconds + epoch * self.epoch_seconds


@dataclass(frozen=True)
class Ended:
    """A trial that has ended.

    Attributes:
        trial: The trial.
        at: Seconds since the search began.
        pruned: Whether it was pruned.
    """

    trial: Trial
    at: float
    pruned: bool


def search(
    trials: Sequence[Trial], pruner: Pruner, workers: int = 2, kept: Collection[str] = ()
) -> list[Ended]:
    """Replay a search.

    Args:
        trials: The trials in the order in which workers take them.
        pruner: The pruning rule.
        workers: Number of workers.
        kept: Names of stacks that are never pruned.

    Returns:
        The trials in the order in which they ended.
    """
    waiting, reached = iter(enumerate(trials)), defaultdict[float, list[Seen]](list)
    # Next event of each worker: time, a number that decides ties, the trial, its next rungs, and
    # the time at which it began.
    events: list[tuple[float, int, Trial, list[tuple[int, float]], float]] = []
    order, ended = count(), []

    def go_on(trial: Trial, rungs: list[tuple[int, float]], began: float) -> None:
        seconds = trial.seconds_to(rungs[0][0]) if rungs else trial.seconds
        heapq.heappush(events, (began + seconds, next(order), trial, rungs, began))

    def take(now: float) -> None:
        for number, trial in waiting:
            rungs = [] if trial.name in kept else list(_rungs(trial, pruner, number))
            go_on(trial, rungs, now)
            return

    for _ in range(workers):
        take(0.0)
    while events:
        now, _, trial, rungs, began = heapq.heappop(events)
        if rungs:
            (epoch, share), *further = rungs
            mine = Seen(heat(trial.stack, share), min(trial.curve[:epoch]))
            pruned = cut(pruner, mine, reached[share])
            reached[share].append(mine)
            if not pruned:
                go_on(trial, further, began)
                continue
            ended.append(Ended(trial, now, pruned=True))
        else:
            ended.append(Ended(trial, now, pruned=False))
        take(now)
    return ended


def chosen(ended: Sequence[Ended], seconds: float) -> Trial | None:
    """Return the finished trial with the least validation loss after a time; None if none has."""
    finished = [e.trial for e in ended if e.at <= seconds and not e.pruned]
    return min(finished, key=lambda trial: trial.loss, default=None)


def _rungs(trial: Trial, pruner: Pruner, number: int) -> Iterator[tuple[int, float]]:
    """Yield epoch and share of the rungs that a trial reaches and is not exempt from."""
    places = list(pruner.places(trial.planned).items())
    for epoch, share in places[number % pruner.brackets :]:
        if epoch < len(trial.curve):
            yield epoch, share
