"""A user's space is parsed strictly: every problem with its path and the violated rule."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from trainstack.spaces.parsing import problems
from trainstack.spaces.space import Space

QUICK = Space.named("quick").to_json()


def changed(path: str, value: Any) -> dict:
    """Return the quick space with one entry set (or, for None, removed)."""
    document: Any = copy.deepcopy(QUICK)
    *parents, last = path.split("/")
    here = document
    for name in parents:
        here = here[name]
    if value is None:
        del here[last]
    else:
        here[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("axes/activaton", {}, "axes.activaton is not known; did you mean 'activation'?"),
        ("axes/activation/reluu", {}, "axes.activation.reluu is not known; did you mean 'relu'?"),
        ("axes/optimizer/nadam/learning_rate", {"low": 1, "high": 0.1}, "low < high"),
        ("axes/optimizer/nadam/learning_rate", {"low": 0.1, "hi": 1}, "low with high"),
        ("axes/optimizer/nadam/learning_rate", {"choices": []}, "at least one value"),
        ("axes/optimizer/nadam/learning_rate", {"choices": [0.1, 0.1]}, "no value twice"),
        ("axes/optimizer/nadam/learning_rate", {"low": 0, "high": 1, "log": True}, "1e-08"),
        ("axes/optimizer/nadam/rate", 0.1, "axes.optimizer.nadam.rate is not known"),
        ("axes/dropout/all/rate", {"low": 0.1, "high": 0.7}, "axes.dropout.all.rate.high is 0.7"),
        ("axes/activation/relu/initializer", "lecun_normal", "pairs 'lecun_normal' with 'relu'"),
        ("axes/activation/relu/initializer", "he_nromal", "did you mean 'he_normal'?"),
        ("axes/initializer", {"he_normal": {}}, "an initializer goes with its activation"),
        ("axes/activation", {}, "axes.activation is {}"),
        ("axes/activation", None, "axes.activation is missing"),
        ("axes/batch_size", {"low": 64, "high": 32}, "axes.batch_size goes from 64 to 32"),
        ("axes/units/constant/layers", 101, "a whole number from 1 to 100"),
        ("axes/units/list/units", {"choices": [[0]]}, "units is [0]"),
        ("axes", [], "axes is []"),
        ("name", 3, "name is 3"),
        ("nmae", "x", "'nmae' is no part of a space; did you mean 'name'?"),
    ],
)
def test_a_problem_is_named_with_its_path(path: str, value: Any, problem: str) -> None:
    """Unknown axes and choices, empty ranges and forbidden pairings give one line each."""
    found = problems(changed(path, value))
    assert len(found) == 1, found
    assert problem in found[0]
    assert "\n" not in found[0]


def test_all_problems_are_listed_at_once() -> None:
    """All problems of a file are reported together."""
    document = changed("axes/activaton", {})
    document["axes"]["batch_size"] = {"low": 64, "high": 32}
    assert len(problems(document)) == 2


@pytest.mark.parametrize("document", [None, [], "chapter", 3])
def test_something_else_than_a_space_is_refused(document: object) -> None:
    """Any JSON that is not a space is refused in one line."""
    assert len(problems(document)) == 1


def test_left_out_numbers_stand_at_their_defaults() -> None:
    """A choice without parameters uses their fixed defaults."""
    document = changed("axes/optimizer", {"nadam": {}})
    space = Space.from_json(document)
    assert space.to_json()["axes"]["optimizer"]["nadam"]["learning_rate"] == 0.001
