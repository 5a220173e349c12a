"""A condition: strictly parsed, part of a run's identity, and absent from spaces and stacks."""

from __future__ import annotations

from typing import Any

import pytest

from trainstack.search.conditions import AUTOENCODER, LATER, PLAIN, RELATED, Condition
from trainstack.spaces.errors import RequestError
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.stack import Stack

CONDITIONS = (
    Condition(initializer="he_normal"),
    Condition(labels=50),
    Condition(classes=LATER, labels=50),
    Condition(labels=50, pretrained=AUTOENCODER),
    Condition(classes=LATER, labels=50, pretrained=RELATED),
)


@pytest.mark.parametrize("condition", [PLAIN, *CONDITIONS])
def test_a_condition_survives_json(condition: Condition) -> None:
    """A condition reads back from its JSON, which has only the fields that differ from none."""
    document = condition.to_json()
    assert Condition.from_json(document) == condition
    assert bool(document) == bool(condition) == bool(condition.description)


def test_equal_stacks_under_different_conditions_are_different_runs() -> None:
    """Each condition gives a stack another identity; without one it is the stack's own."""
    ids = [condition.identity(CHAPTER_DEFAULT) for condition in CONDITIONS]
    assert PLAIN.identity(CHAPTER_DEFAULT) == CHAPTER_DEFAULT.stack_id
    assert len({*ids, CHAPTER_DEFAULT.stack_id}) == len(CONDITIONS) + 1
    other = CHAPTER_DEFAULT.but(batch_size=64)
    assert not {condition.identity(other) for condition in CONDITIONS} & {*ids}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"classes": "odd"}, "condition.classes is 'odd'"),
        ({"initializer": "zeros"}, "condition.initializer is 'zeros'"),
        ({"labels": -1}, "condition.labels is -1"),
        ({"pretrained": RELATED}, "with all classes"),
        ({"label": 5}, "condition.label is not known"),
    ],
)
def test_a_condition_is_read_strictly(document: dict[str, Any], message: str) -> None:
    """An invalid condition is refused in one line."""
    with pytest.raises(RequestError, match=message):
        Condition.from_json(document)


def test_no_stack_can_express_one() -> None:
    """A stack with a condition's keys, or with a wrong initializer, is refused."""
    with pytest.raises(RequestError, match="'condition' is not known"):
        Stack.from_json({**CHAPTER_DEFAULT.to_json(), "condition": {"labels": 50}})
    with pytest.raises(RequestError, match="'he_normal' with activation 'selu'"):
        Stack.from_json({**CHAPTER_DEFAULT.to_json(), "initializer": "he_normal"})
