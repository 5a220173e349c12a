"""The first trials that come from earlier studies."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.planted_study import Planted
from tests.support.studies import DATA, spec_of
from trainstack.search.data_spec import DataSpec
from trainstack.search.evidence.earlier_studies import (
    EarlierStudy,
    distance,
    sources,
    warm_stacks,
)
from trainstack.spaces.references import REFERENCES
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

ROWS = 10_000
STACKS = [
    Stack.of(units=[width], optimizer="adam", optimizer__learning_rate=0.001)
    for width in (50, 60, 70, 80, 90)
]


def data(rows: int, features: int = 10, **more: object) -> DataSpec:
    """A classification with two classes."""
    made = {"task": "classification", "classes": ("a", "b"), **more}
    return dataclasses.replace(DATA, rows=rows, features=features, **made)


SPEC = spec_of(trials=40, data=data(1000), space=Space.named("chapter").to_json())


def labels(earlier: list[EarlierStudy], **changes: object) -> list[str]:
    """The labels of the first trials that come from some studies."""
    found = warm_stacks(dataclasses.replace(SPEC, **changes), ROWS, 10, earlier, [STACKS[4]])
    return [label for label, _ in found]


def test_the_distance_is_the_sum_of_ratios_in_orders_of_magnitude() -> None:
    """Ten times the rows, a hundred times the features and four times the classes add up."""
    other = data(10_000, 1000, classes=tuple("abcdefgh"))
    assert distance(data(1000), other) == pytest.approx(1 + 2 + math.log10(4))
    assert distance(other, data(1000)) == distance(data(1000), other)


def test_the_nearest_studies_come_first_and_three_at_most() -> None:
    """Of four studies the three nearest give their stacks, in the order of their distance."""
    stacks = dict(zip((9000, 1100, 50, 900), STACKS[:4], strict=True))
    far = [EarlierStudy(f"rows {rows}", data(rows), stack) for rows, stack in stacks.items()]
    assert labels(far) == ["earlier: rows 1100", "earlier: rows 900", "earlier: rows 9000"]


def test_stacks_that_are_there_already_are_left_out() -> None:
    """A stack among the first trials, or of a nearer study, is not repeated."""
    earlier = [
        EarlierStudy("taken", data(1000), STACKS[4]),
        EarlierStudy("near", data(1100), STACKS[0]),
        EarlierStudy("same", data(1200), STACKS[0]),
        EarlierStudy("other", data(1300), STACKS[1]),
    ]
    assert labels(earlier) == ["earlier: near", "earlier: other"]


def test_another_task_or_another_space_gives_nothing() -> None:
    """Studies of another task, and stacks that the new study's space lacks, are left out."""
    regression = data(1000, task="regression", classes=())
    modern = REFERENCES["realmlp-td-s"]
    earlier = [EarlierStudy("r", regression, STACKS[0]), EarlierStudy("m", data(1000), modern)]
    assert labels(earlier) == []
    assert labels(earlier, space=Space.named("modern").to_json()) == ["earlier: m"]


@given(st.integers(1, 2000), st.integers(0, 5))
def test_earlier_studies_take_a_tenth_of_the_budget_at_most(trials: int, count: int) -> None:
    """A search of fewer than ten trials has none of them, the longest has three."""
    earlier = [EarlierStudy(str(k), data(1000), STACKS[k % 4]) for k in range(count)]
    assert len(labels(earlier, trials=trials)) <= min(3, trials / 10)


def test_the_batch_size_suits_the_rows() -> None:
    """A stack that was found on more rows gets a smaller batch."""
    stack = STACKS[0].but(batch_size=512)
    ((_, found),) = warm_stacks(SPEC, 1000, 10, [EarlierStudy("e", data(50_000), stack)], [])
    assert found == stack.but(batch_size=32)


def test_the_sources_are_named_in_the_order_of_their_trials() -> None:
    """The labels of search trials give the studies' names."""
    shown = {3: "earlier: wine", 2: "earlier: digits", 0: "chapter-default"}
    runs = [Planted().run(STACKS[n], 0, n, label=label) for n, label in shown.items()]
    assert sources(runs) == ("digits", "wine")
