"""Stacks that earlier studies recommend, with which a new search starts.

The studies nearest by the data's traits give their recommended stack: rows, features and outputs,
compared by their orders of magnitude.

Reference: Feurer, Springenberg and Hutter, "Initializing Bayesian Hyperparameter Optimization via
Meta-Learning", 2015 (first trials from the nearest data sets, with the L1 distance of traits).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainstack.search.data_spec import DataSpec
from trainstack.search.records import SEARCH, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.portfolio import suited
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

# Start of the label of a trial whose stack an earlier study recommends; the study's name follows.
LABEL = "earlier: "
# Most trials that start from earlier studies, and the part of the budget that they may use.
MOST = 3
SHARE = 0.1


@dataclass(frozen=True)
class EarlierStudy:
    """A concluded study.

    Attributes:
        name: Its name.
        data: Its data.
        stack: The stack that it recommends.
    """

    name: str
    data: DataSpec
    stack: Stack


def distance(one: DataSpec, other: DataSpec) -> float:
    """Return how far apart two data sets are: the L1 distance of their traits' log10.

    >>> wine = DataSpec("wine", None, "classification", "", 13, ("a", "b", "c"), rows=178)
    >>> digits = DataSpec("digits", None, "classification", "", 64, tuple("0123456789"), rows=1797)
    >>> distance(wine, wine), round(distance(wine, digits), 2)
    (0.0, 2.22)
    """
    return sum(abs(a - b) for a, b in zip(_traits(one), _traits(other), strict=True))


def _traits(data: DataSpec) -> tuple[float, ...]:
    counts = (data.rows, data.features, data.outputs)
    return tuple(math.log10(max(count, 1)) for count in counts)


def warm_stacks(
    spec: StudySpec,
    rows: int,
    numbers: int,
    earlier: Iterable[EarlierStudy],
    taken: Iterable[Stack],
) -> list[tuple[str, Stack]]:
    """Return the labelled stacks of the nearest earlier studies of the same task, nearest first.

    Args:
        spec: The new study.
        rows: Number of its training rows, which the stacks suit.
        numbers: Its features that are quantities, likewise.
        earlier: Concluded studies.
        taken: Stacks with which the study starts in any case.
    """
    room = min(MOST, int(SHARE * spec.trials))
    space, seen = Space.from_json(spec.space), {stack.stack_id for stack in taken}
    alike = [study for study in earlier if study.data.task == spec.data.task]
    found: list[tuple[str, Stack]] = []
    for study in sorted(alike, key=lambda study: (distance(spec.data, study.data), study.name)):
        stack = suited(study.stack, rows, numbers)
        if len(found) < room and stack.stack_id not in seen and space.offers(stack):
            seen.add(stack.stack_id)
            found.append((LABEL + study.name, stack))
    return found


def sources(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return the names of the earlier studies from which a study's first trials come."""
    labels = ((run.label or "", run.number) for run in runs if run.phase == SEARCH)
    found = sorted((number, label) for label, number in labels if label.startswith(LABEL))
    return tuple(label.removeprefix(LABEL) for _, label in found)
