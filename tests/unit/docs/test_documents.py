"""The table of JSON documents covers every verb, and its check can fail."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import pytest
import typer

from docs.command_page import verbs
from docs.documents import DOCUMENTS
from docs.fields import (
    LIST,
    NUMBER,
    NUMBERS,
    OBJECT,
    OR_NULL,
    STACK,
    TEXT,
    WHOLE,
    Document,
    Field,
)
from docs.records import rows
from tests.support.json_shapes import problems
from tests.support.measurements import stochastic
from tests.support.planted_study import LAST, Planted, finished_study, made_up_spec
from tests.support.studies import spec_of
from trainstack.search.claims.experiment import next_runs
from trainstack.search.claims.findings import findings
from trainstack.search.cli.main import app
from trainstack.search.conclusion.across_studies import across
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.data.load import load
from trainstack.search.data.summary import summary_of
from trainstack.search.json_values import HIDDEN, IF_ANY, INLINE, json_safe
from trainstack.search.json_values import OR_NULL as NULL_IF_NAN
from trainstack.search.lr_range_test import read_range
from trainstack.search.preview import Sample, Tried
from trainstack.search.preview_record import preview_of
from trainstack.search.queue.progress import Record
from trainstack.search.records import Run
from trainstack.search.replay_record import Repetition, compare, replay_of
from trainstack.spaces.references import CHAPTER_DEFAULT

SMALL = Document(
    ("thing",),
    "A thing.",
    (
        Field("name", TEXT, ""),
        Field("best", OBJECT + OR_NULL, ""),
        Field("best.value", NUMBER, ""),
        Field("rows", LIST, ""),
        Field("rows[].n", WHOLE, ""),
        Field("rows[].more", WHOLE, "", sometimes=True),
        Field("stack", STACK, ""),
    ),
)
GOOD: dict[str, Any] = {
    "name": "a",
    "best": {"value": 1},
    "rows": [{"n": 1}, {"n": 2, "more": 3}],
    "stack": {"units": [3]},
}


MEASURED: dict[str, Any] = {
    "chosen": {"test": {"loss": [0.3, 0.4]}, "latency_ms_64": 0.2, **stochastic([-0.1, -0.1])},
    "baseline": {"test": {"loss": [0.5, 0.4]}, "trivial": {"test": {"loss": 2.0}}},
    "yardstick": {"model": "a", "test": {"loss": 0.4}},
}


class Word(Enum):
    """A word, or none."""

    YES = "yes"
    UNKNOWN = None


@dataclass(frozen=True)
class Inner:
    """A record in another one.

    Attributes:
        n: A number.
        word: A word.
    """

    n: int
    word: Word = Word.UNKNOWN


@dataclass(frozen=True)
class Outer:
    """A record with every kind of field.

    Attributes:
        name: Its name, in a
            sentence of two lines.
        mean: A mean.
        means: Some means.
        inner: Another record.
        items: Some records.
        counts: Counts.
        ends: Both ends, or null.
        more: Present if known.
        secret: Not in the document.
    """

    name: str
    mean: float = field(metadata=NULL_IF_NAN)
    means: tuple[float, ...] = field(metadata=NULL_IF_NAN)
    inner: Inner = field(metadata=INLINE)
    items: tuple[Inner, ...]
    counts: Mapping[str, int]
    ends: tuple[float, float] | None = None
    more: float | None = field(default=None, metadata=IF_ANY)
    secret: str = field(default="", metadata=HIDDEN)


def of(verb: str) -> Document:
    """Return a verb's document."""
    (found,) = [document for document in DOCUMENTS if verb in document.verbs]
    return found


def test_every_verb_with_json_has_its_document() -> None:
    """The table has exactly the verbs with `--json`."""
    taking = {
        name.removeprefix("trainstack ")
        for name, verb in verbs(typer.main.get_command(app))
        if any("--json" in p.opts for p in verb.params)
    }
    named = [verb for document in DOCUMENTS for verb in document.verbs]
    assert len(named) == len(set(named))
    assert {verb.partition(" --")[0] for verb in named} == taking


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"best": None, "rows": []}, []),
        ({"name": 3}, ["name is 3, not text"]),
        ({"best": {"value": True}}, ["best.value is True, not number"]),
        ({"best": {}}, ["best.value is missing"]),
        ({"rows": [{"n": 1}, {}]}, ["rows[].n is missing"]),
        ({"rows": [{"n": 1, "m": 2}]}, ["rows[].m is not in the table"]),
        ({"rows": None}, ["rows is None, not list"]),
    ],
)
def test_a_difference_is_reported(change: dict[str, Any], expected: list[str]) -> None:
    """Mistyped, missing and unknown fields are named; null is accepted only where allowed."""
    assert problems(SMALL, {**GOOD, **change}) == expected


def test_a_record_has_a_row_for_each_value_of_its_document() -> None:
    """Kinds come from annotations, descriptions from docstrings; the marks hold for both sides."""
    assert rows(Outer) == (
        Field("name", TEXT, "Its name, in a sentence of two lines"),
        Field("mean", NUMBER + OR_NULL, "A mean"),
        Field("means", LIST, "Some means"),
        Field("means[]", NUMBER + OR_NULL, ""),
        Field("n", WHOLE, "A number"),
        Field("word", TEXT + OR_NULL, "A word"),
        Field("items", LIST, "Some records"),
        Field("items[].n", WHOLE, "A number"),
        Field("items[].word", TEXT + OR_NULL, "A word"),
        Field("counts", NUMBERS, "Counts"),
        Field("ends", LIST + OR_NULL, "Both ends, or null"),
        Field("ends[]", NUMBER, ""),
        Field("more", NUMBER, "Present if known", sometimes=True),
    )
    assert rows(Inner, "[]")[0] == Field("[].n", WHOLE, "A number")
    table = Document(("outer",), "", rows(Outer))
    small = Outer("a", float("nan"), (1.0, float("nan")), Inner(1), (), {})
    large = Outer("b", 1.0, (), Inner(1, Word.YES), (Inner(2),), {"a": 1}, (0.0, 1.0), 2.0)
    assert [*map(len, map(json_safe, (small, large)))] == [8, 9]
    assert [problems(table, json_safe(record)) for record in (small, large)] == [[], []]


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("measured", [{}, MEASURED], ids=["unopened", "measured"])
def test_a_recommendation_is_as_the_table_says(task: str, measured: dict[str, Any]) -> None:
    """What `recommend --json` prints, before and after the test set was opened."""
    spec, runs = finished_study()
    spec = replace(spec, data=replace(spec.data, task=task))
    found = json_safe(recommend(spec, runs, measured))
    assert problems(of("recommend"), found) == []


def test_a_default_over_data_sets_is_as_the_table_says() -> None:
    """What `recommend --across --json` prints, with the default on both data sets or nothing."""
    (spec, runs), (_, others) = finished_study(), finished_study(stacks=(LAST,))
    other = replace(spec, study="b", data=replace(spec.data, fingerprint="b"))
    for second in (runs, others[:1], []):
        found = json_safe(across([(spec, runs), (other, second)]))
        assert problems(of("recommend --across"), found) == []


def test_findings_are_as_the_table_says() -> None:
    """What `claims --json` prints, before a run has ended and after some have."""
    spec = made_up_spec(trials=0, experiment=("C7", "C21", "C23"))
    planted, runs = Planted(), list[Run]()
    for _ in range(3):
        assert problems(of("claims"), json_safe(findings(spec, runs))) == []
        runs += [
            planted.run(p.stack, p.seed, len(runs) + k, p.seed_index, p.label)
            for k, p in enumerate(next_runs(spec, runs))
        ]


def test_a_replay_is_as_the_table_says() -> None:
    """`replay --json` matches the table."""
    record = Record(
        *(3, "search", CHAPTER_DEFAULT, 7, "completed", -1, (0.5, 0.4), (0.4, 0.3), "cpu", 1)
    )
    again = Repetition("cpu", "completed", None, (0.5, math.nan), (0.4, 0.3), {"total": 1.0})
    found = compare(record.curve, again.curve, 1e-3)
    assert problems(of("replay"), json_safe(replay_of("s", record, again, found, 1e-3))) == []


def test_a_preview_matches_the_table() -> None:
    """`launch --preview --json` matches the table, with one working and one failing stack."""
    spec = spec_of()
    tried = [Tried(Sample(CHAPTER_DEFAULT, {"activation=selu": "activation"}), "", 1.0, 0.5, 9)]
    refused = [Tried(Sample(CHAPTER_DEFAULT), "no memory")]
    found = json_safe(preview_of(spec, [*tried, *refused], refused, 2))
    assert problems(of("launch --preview"), found) == []


def test_a_range_test_matches_the_table() -> None:
    """`range-test --json` matches the table, with a loss that is not finite."""
    found = read_range("nadam", [1e-4, 1e-3, 1e-2], [2.0, 1.0, math.inf], None)
    assert problems(of("range-test"), json_safe([found])) == []


@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_a_summary_of_data_matches_the_table(name: str) -> None:
    """`data --json` matches the table, for classes and for a quantity."""
    assert problems(of("data"), json_safe(summary_of(load(name)))) == []
