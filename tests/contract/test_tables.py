"""Requirements of every row of every table: name, description, range, draw, documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainstack.search.claims.table import CLAIMS
from trainstack.search.data.catalogue import DATASETS
from trainstack.search.sampling.pruning import PRUNERS
from trainstack.search.sampling.samplers import SAMPLERS
from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.axes import CHOICE_AXES, NUMBER_AXES, SELF_NORMALIZING, SHAPE_TABLE
from trainstack.spaces.choices import Parameter
from trainstack.spaces.errors import RequestError
from trainstack.spaces.initializers import INITIALIZERS
from trainstack.spaces.portfolio import MEASURED_DEFAULT
from trainstack.spaces.profiles import PROFILES
from trainstack.spaces.references import CLASSICS, REFERENCES
from trainstack.spaces.space import space_names
from trainstack.spaces.stack import Stack

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
TABLES: dict[str, Any] = {**CHOICE_AXES, "shape": SHAPE_TABLE, "profile": PROFILES}
ROWS = [(table, name) for table, rows in TABLES.items() for name in rows]
CHOICES = [(axis, name) for axis, rows in CHOICE_AXES.items() for name in rows]
NUMBERS = [
    (f"{table}.{row.name}.{p.name}", p)
    for table, rows in TABLES.items()
    for row in rows.values()
    for p in getattr(row, "parameters", ())
]
NUMBERS += list(NUMBER_AXES.items())


def made(axis: str, name: str, **numbers: Any) -> Stack:
    """Return a stack with that choice and permitted choices on the other axes."""
    if axis == "initializer":
        partner = next(a.name for a in ACTIVATIONS.values() if name in a.initializers)
        return Stack.of(activation=partner, initializer=name)
    if axis == "regularizer_schedule":
        return Stack.of(dropout="all", regularizer_schedule=name)
    return Stack.of(**{axis: name}, **{f"{axis}__{k}": v for k, v in numbers.items()})


@pytest.mark.parametrize(("table", "name"), ROWS)
def test_a_row_is_named_and_explained(table: str, name: str) -> None:
    """A row has its key as its name and a one-line description."""
    row = TABLES[table][name]
    assert row.name == name == name.strip().lower()
    assert row.about
    assert "\n" not in row.about


@pytest.mark.parametrize(("path", "parameter"), NUMBERS, ids=[path for path, _ in NUMBERS])
def test_a_number_has_a_range_around_its_default(path: str, parameter: Parameter) -> None:
    """The default lies within the range; its ends are accepted, values beyond are refused."""
    assert parameter.low < parameter.high
    assert parameter.check(parameter.default, path) == parameter.default
    for end, beyond in ((parameter.low, -1), (parameter.high, 1)):
        assert parameter.check(end, path) == end
        with pytest.raises(RequestError, match="expected"):
            parameter.check(end + beyond, path)
    with pytest.raises(RequestError, match="expected"):
        parameter.check("1", path)


@pytest.mark.parametrize(("axis", "name"), CHOICES)
def test_a_choice_makes_a_stack_that_round_trips(axis: str, name: str) -> None:
    """A stack with the choice contains all of its parameters, and survives its JSON."""
    stack = made(axis, name)
    assert stack[axis] == name
    assert list(stack.numbers(axis)) == [p.name for p in CHOICE_AXES[axis][name].parameters]
    again = Stack.from_json(stack.to_json())
    assert again == stack
    assert again.stack_id == stack.stack_id


@pytest.mark.parametrize(("axis", "name"), CHOICES)
def test_a_choice_and_its_numbers_are_documented(axis: str, name: str) -> None:
    """The reference page lists the choice under its axis, with each of its keys."""
    page = (REFERENCE / "stack.md").read_text("utf-8")
    section = page.split(f"\n## `{axis}`\n")[1].split("\n## ")[0]
    assert f"| `{name}` |" in section
    for parameter in CHOICE_AXES[axis][name].parameters:
        assert f"`{axis}.{parameter.name}`" in section


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_paired(name: str) -> None:
    """Every activation lists initializers of one family, Mish also those that RealMLP uses."""
    initializers = ACTIVATIONS[name].initializers
    assert initializers
    assert set(initializers) <= set(INITIALIZERS)
    families = {i.split("_")[0] for i in initializers}
    assert families == {"he", "lecun"} if name == "mish" else len(families) == 1


def test_the_bundle_is_what_the_default_stack_has() -> None:
    """The self-normalizing bundle names existing choices, all those of the default stack."""
    for axis, name in SELF_NORMALIZING.items():
        assert name in CHOICE_AXES[axis]
        assert Stack.of()[axis] == name


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_leads_somewhere(name: str) -> None:
    """A profile's space and default stack exist."""
    assert PROFILES[name].space in space_names()
    assert PROFILES[name].default in REFERENCES


def test_reference_stacks_are_different_stacks() -> None:
    """Reference stacks are distinct, but the measured default may be one of the others, and they
    include the chapter's classics."""
    others = [stack for name, stack in REFERENCES.items() if name != MEASURED_DEFAULT]
    assert len(set(others)) == len(others)
    assert set(CLASSICS) <= set(REFERENCES)


@pytest.mark.parametrize(
    ("table", "name"),
    [(t, n) for t, rows in enumerate((DATASETS, SAMPLERS, PRUNERS)) for n in rows],
)
def test_what_flags_take_by_name_is_documented(table: int, name: str) -> None:
    """Data sets, samplers and pruners have descriptions, and are in the command's reference."""
    row: Any = (DATASETS, SAMPLERS, PRUNERS)[table][name]  # type: ignore[index]
    assert f"| `{name}` | {row.about} |" in (REFERENCE / "cli.md").read_text("utf-8")


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_has_a_statement_and_a_test(name: str) -> None:
    """A claim has its id, a one-line statement, and contrasts or a stated requirement."""
    claim = CLAIMS[name]
    assert claim.id == name
    assert claim.text
    assert "\n" not in claim.text
    assert claim.section
    assert claim.judge is not None or claim.needs


def test_the_claims_are_counted_through() -> None:
    """Claims are numbered C1, C2, … without a gap."""
    assert list(CLAIMS) == [f"C{k}" for k in range(1, len(CLAIMS) + 1)]
