"""The table of JSON documents covers every verb, and its check can fail."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
import typer

from docs.documents import DOCUMENTS
from docs.fields import LIST, NUMBER, OBJECT, OR_NULL, STACK, TEXT, WHOLE, Document, Field
from docs.generate import verbs
from tests.support.json_shapes import problems
from tests.support.studies import spec_of
from trainstack.search.cli.main import app
from trainstack.search.cli.preview import _document as preview_document
from trainstack.search.cli.replay import _document, compare
from trainstack.search.lr_range_test import read_range
from trainstack.search.preview import Sample, Tried
from trainstack.search.queue.progress import Record
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


def test_a_replay_matches_the_table() -> None:
    """`replay --json` matches the table."""
    record = Record(3, "search", CHAPTER_DEFAULT, 7, "completed", (0.5, 0.4), "cpu", 1)
    again = {"device": "cpu", "outcome": "completed", "cause": None, "curve": [0.5, None]}
    again["seconds"] = {"total": 1.0}
    found = compare(record.curve, [0.5, 0.4], 1e-3)
    assert problems(of("replay"), _document("s", record, again, found, 1e-3)) == []


def test_a_preview_matches_the_table() -> None:
    """`launch --preview --json` matches the table, with one working and one failing stack."""
    spec = spec_of()
    tried = [Tried(Sample(CHAPTER_DEFAULT, {"activation=selu": "activation"}), "", 1.0, 0.5, 9)]
    refused = [Tried(Sample(CHAPTER_DEFAULT), "no memory")]
    found = json.loads(json.dumps(preview_document(spec, [*tried, *refused], refused, 2)))
    assert problems(of("launch --preview"), found) == []


def test_a_range_test_matches_the_table() -> None:
    """`range-test --json` matches the table, with tuples as lists."""
    found = asdict(read_range("nadam", [1e-4, 1e-3, 1e-2], [2.0, 1.0, 9.0], None))
    row = {k: list(v) if isinstance(v, tuple) else v for k, v in found.items()}
    assert problems(of("range-test"), [row]) == []
