"""Spaces and stacks from Python's objects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainstack.spaces.axes import CHOICE_AXES, NUMBER_AXES, UNITS_AXIS
from trainstack.spaces.choices import Parameter
from trainstack.spaces.domains import Range
from trainstack.spaces.errors import RequestError
from trainstack.spaces.references import REFERENCES
from trainstack.spaces.space import Space, space_names
from trainstack.spaces.stack import Stack

QUICK = Space.named("quick")


def domains(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Draw a domain of a number as (Python's object, JSON)."""
    kind = st.integers if parameter.integer else st.floats
    low, high = parameter.low, parameter.high
    number: Any = kind(int(low), int(high)) if parameter.integer else kind(low, high)
    several = st.lists(number, min_size=2, max_size=4, unique=True)
    ends = st.lists(number, min_size=2, max_size=2, unique=True).map(sorted)
    logarithmic = st.booleans() if low > 0 else st.just(False)
    return st.one_of(
        number.map(lambda n: (n, n)),
        several.map(lambda values: (values, {"choices": values})),
        st.builds(range_of, ends, logarithmic),
    )


def range_of(ends: list[Any], log: bool) -> tuple[Range, dict[str, Any]]:
    """Return a range as (Python's object, JSON)."""
    document = {"low": ends[0], "high": ends[1]}
    return Range(*ends, log=log), document | ({"log": True} if log else {})


@st.composite
def axes(draw: Any) -> tuple[str, Any, Any]:
    """Draw an axis with domains for its numbers, as (name, Python's objects, JSON)."""
    axis = draw(st.sampled_from([*NUMBER_AXES, *(a for a in CHOICE_AXES if a != "initializer")]))
    if axis in NUMBER_AXES:
        return axis, *draw(domains(NUMBER_AXES[axis]))
    rows = list(CHOICE_AXES[axis].values())
    chosen = draw(st.lists(st.sampled_from(rows), min_size=1, max_size=3, unique_by=id))
    python: dict[str, Any] = {}
    document: dict[str, Any] = {}
    for row in chosen:
        pairs = {p.name: draw(domains(p)) for p in row.parameters}
        document[row.name] = {name: pair[1] for name, pair in pairs.items()}
        values = {name: pair[0] for name, pair in pairs.items()}
        only = len(values) == 1 and axis != "activation" and draw(st.booleans())
        python[row.name] = next(iter(values.values())) if only else values or ...
    return axis, python, document


@given(axes())
@settings(max_examples=200, deadline=None)
def test_python_says_what_json_says(drawn: tuple[str, Any, Any]) -> None:
    """An axis given as Python's objects makes the space that its JSON makes, and back."""
    axis, python, document = drawn
    whole = QUICK.to_json()
    expected = Space.from_json({**whole, "name": "own", "axes": {**whole["axes"], axis: document}})
    built = QUICK.with_axis(axis, python)
    assert built == expected
    assert Space.from_json(built.to_json()) == built


@pytest.mark.parametrize("name", space_names())
def test_every_named_space_can_be_built(name: str) -> None:
    """The domains of a space, given to `Space.of`, make that space."""
    space = Space.named(name)
    assert Space.of(name, space.about, space.cost, **space.arms, **space.numbers) == space


def test_choices_may_be_keywords() -> None:
    """Choices are given by name; other axes and the description stay."""
    built = QUICK.with_axis("dropout", none=..., all=Range(0.1, 0.4))
    assert list(built.arms["dropout"]) == ["none", "all"]
    assert built.arms["dropout"]["all"]["rate"] == Range(0.1, 0.4)
    assert built.arms["optimizer"] == QUICK.arms["optimizer"]
    assert (built.name, built.about) == ("own", QUICK.about)
    again = built.with_axis(UNITS_AXIS, {"list": [[64, 64], (32,)]})
    assert again.to_json()["axes"]["units"] == {"list": {"units": {"choices": [[64, 64], [32]]}}}
    assert QUICK.with_axis(UNITS_AXIS, list=[64, 32]).arms["units"]["list"]["units"].least == (
        64,
        32,
    )


@pytest.mark.parametrize(
    ("axis", "choices", "message"),
    [
        ("dropuot", {"none": ...}, "axes.dropuot is not known; did you mean 'dropout'"),
        ("dropout", {"nothing": ...}, "axes.dropout.nothing is not known"),
        ("dropout", {"none": 0.3}, r"axes.dropout.none is 0.3; expected .*it has none"),
        ("optimizer", {"nadam": 0.3}, "axes.optimizer.nadam is 0.3; expected a mapping of its"),
        ("dropout", {"all": Range(0.4, 0.1)}, "goes from 0.4 to 0.1"),
        ("dropout", None, "axes.dropout is None"),
        ("batch_size", [], "axes.batch_size.choices is"),
    ],
)
def test_a_mistake_is_reported_with_its_path(axis: str, choices: Any, message: str) -> None:
    """A mistake in an axis gives the line that a file's would give."""
    with pytest.raises(RequestError, match=message):
        QUICK.with_axis(axis, choices)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_stack_is_its_keywords(name: str) -> None:
    """A stack's keywords build the same stack."""
    stack = REFERENCES[name]
    assert Stack.of(**stack.to_keywords()) == stack
