"""Stacks: canonical, strict, and independent of inactive parameters."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.axes import AXES, BEYOND_CHAPTER, CHOICE_AXES
from trainstack.spaces.errors import RequestError
from trainstack.spaces.portfolio import MEASURED_DEFAULT
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES, read_stacks
from trainstack.spaces.stack import Stack, stack_keys


def test_the_default_is_the_chapters() -> None:
    """The default stack is that of the chapter's summary table."""
    stack = CHAPTER_DEFAULT
    assert stack["initializer"] == "lecun_normal"
    assert stack["activation"] == "selu"
    assert stack["normalization"] == "none"
    assert stack["optimizer"] == "nadam"
    assert stack["schedule"] == "performance"
    assert (stack["dropout"], stack["penalty"], stack["max_norm"]) == ("none",) * 3
    assert stack.self_normalizing


@given(st.floats(0, 0.5), st.floats(1e-6, 1), st.floats(0.1, 10))
def test_inactive_numbers_change_nothing(rate: float, l2: float, limit: float) -> None:
    """Equal stacks have equal fingerprints for any inactive parameters."""
    noisy = {
        **CHAPTER_DEFAULT.to_json(),
        "dropout.rate": rate,
        "penalty.l2": l2,
        "clipping.limit": limit,
    }
    assert Stack.from_json(noisy) == CHAPTER_DEFAULT
    assert Stack.from_json(noisy).stack_id == CHAPTER_DEFAULT.stack_id


def test_key_order_changes_nothing() -> None:
    """The order of a document's keys does not matter."""
    document = CHAPTER_DEFAULT.to_json()
    backwards = dict(reversed(list(document.items())))
    assert Stack.from_json(backwards) == CHAPTER_DEFAULT


def test_reference_stacks_are_distinct() -> None:
    """No two reference stacks are the same, but the measured default may be one of the others."""
    ids = [stack.stack_id for name, stack in REFERENCES.items() if name != MEASURED_DEFAULT]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activatoin": "relu"}, "'activatoin' is not known"),
        ({"activation": "relu"}, "goes with it: he_normal, he_uniform"),
        ({"units": []}, "units is []"),
        ({"units": [0]}, "units is [0]"),
        ({"units": [10.5]}, "whole numbers"),
        ({"units": [1] * 101}, "1 to 100"),
        ({"optimizer.learning_rate": 0.0}, "optimizer.learning_rate is 0.0"),
        ({"optimizer.learning_rate": float("nan")}, "optimizer.learning_rate is nan"),
        ({"optimizer.learning_rate": "0.1"}, "optimizer.learning_rate is '0.1'"),
        ({"batch_size": 31.5}, "a whole number"),
        ({"batch_size": True}, "a whole number"),
        ({"dropout": "all"}, "lacks 'dropout.rate'"),
        ({"dropout": "all", "dropout.rate": 0.6}, "dropout.rate is 0.6"),
    ],
)
def test_a_wrong_stack_is_refused_with_its_path(change: dict, message: str) -> None:
    """Unknown keys, values out of range and forbidden pairings are refused with their path."""
    with pytest.raises(RequestError) as refused:
        Stack.from_json({**CHAPTER_DEFAULT.to_json(), **change})
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("name", "hint"), [("rellu", "; did you mean 'relu'?"), ("?", ""), ("", ""), (3, ""), ([], "")]
)
def test_an_unknown_choice_is_refused_with_what_was_expected(name: object, hint: str) -> None:
    """One line gives the actual value, every valid name, and the nearest one if there is any."""
    expected = ", ".join(sorted(ACTIVATIONS))
    with pytest.raises(RequestError) as refused:
        Stack.from_json({**CHAPTER_DEFAULT.to_json(), "activation": name})
    assert str(refused.value) == f"activation is {name!r}; expected one of {expected}{hint}"


@pytest.mark.parametrize("key", CHAPTER_DEFAULT.to_json())
def test_only_what_the_chapter_lacks_may_be_left_out(key: str) -> None:
    """A stack in JSON requires every active key that the chapter has; others take its value."""
    document = CHAPTER_DEFAULT.to_json()
    del document[key]
    if key in BEYOND_CHAPTER:
        assert Stack.from_json(document) == CHAPTER_DEFAULT
        return
    with pytest.raises(RequestError):
        Stack.from_json(document)


def test_an_id_stays_the_same_when_axes_are_added() -> None:
    """The chapter's stacks have the ids of the first release; a new axis counts once it is used."""
    assert CHAPTER_DEFAULT.stack_id == "a17e80bb274a"
    assert CHAPTER_DEFAULT.but(label_smoothing=0.1).stack_id != "a17e80bb274a"


def test_a_stack_is_frozen() -> None:
    """A stack cannot be changed in place."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        CHAPTER_DEFAULT.items = ()  # type: ignore[misc]


def test_but_changes_one_axis_and_brings_its_defaults() -> None:
    """A changed choice drops the old parameters and takes the new one's defaults."""
    stack = CHAPTER_DEFAULT.but(optimizer="adamw")
    assert stack["optimizer.weight_decay"] == 0.004
    assert {k for k in AXES if stack[k] != CHAPTER_DEFAULT[k]} == {"optimizer"}


def test_keys_are_documented_once() -> None:
    """Every possible key of a stack is listed once, including every axis."""
    keys = stack_keys()
    assert len(set(keys)) == len(keys)
    assert set(AXES) <= set(keys)


def test_parameter_names_of_a_space_are_unique() -> None:
    """`parameter.choice` identifies one parameter of one axis, so that Optuna mixes none."""
    names = [
        f"{parameter.name}.{row.name}"
        for rows in CHOICE_AXES.values()
        for row in rows.values()
        for parameter in row.parameters
        if rows is not CHOICE_AXES["normalization"] or row.name != "none"
    ]
    assert len(set(names)) == len(names)


def test_a_stacks_file_names_references_or_spells_stacks_out() -> None:
    """`--stacks` accepts names of reference stacks and full documents, mixed."""
    found = read_stacks(
        ["chapter-default", REFERENCES["relu-he-bn-adam"].to_json()], "classification"
    )
    assert found == (CHAPTER_DEFAULT, REFERENCES["relu-he-bn-adam"])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "a stack lacks"),
        ([], "no list"),
        (["chapter-defualt"], "did you mean 'chapter-default'"),
        ([{"units": [1]}], "stacks[0]"),
        ([3], "stacks[0]"),
        ([{**CHAPTER_DEFAULT.to_json(), "network.width": 3}], "network.width"),
    ],
)
def test_a_wrong_stacks_file_is_refused(document: object, message: str) -> None:
    """The position of the wrong entry is reported."""
    with pytest.raises(RequestError) as refused:
        read_stacks(document, "classification")
    assert message in str(refused.value)


def test_dense_layers_without_bias_have_no_bias_to_start() -> None:
    """Batch normalization before the activation leaves biases no choice; a stack says so."""
    stack = CHAPTER_DEFAULT.but(normalization="before")
    assert stack["bias"] == "zeros"
    for bias in ("normal", "data"):
        with pytest.raises(RequestError, match=r"bias is '.+'zeros': dense layers"):
            stack.but(bias=bias)
        assert CHAPTER_DEFAULT.but(normalization="after", bias=bias)["bias"] == bias
