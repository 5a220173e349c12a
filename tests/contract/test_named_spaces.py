"""Requirements of every named space, and the properties promised by each. Each has a line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from trainstack.spaces.space import Space, space_names
from trainstack.spaces.stack import Stack

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"

# Properties of every stack drawn from a space.
PROMISES: dict[str, Callable[[Stack], bool]] = {
    "chapter": lambda s: s["connection"] == "plain" and len(s.units) <= 5,
    "deep": lambda s: 20 <= len(s.units) <= 100,
    "low-latency": lambda s: s["normalization"] == "none" and len(s.units) <= 3,
    "modern": lambda s: s["connection"] == "plain" and len(s.units) <= 5,
    "quick": lambda s: len(s.units) <= 3 and s["penalty"] == "none",
    "residual": lambda s: len(s.units) >= 2 and len(set(s.units)) == 1,
    "risk-sensitive": lambda s: s["dropout"] != "none",
    "self-normalizing": lambda s: s.self_normalizing,
    "sparse": lambda s: s.get("penalty.l1", 0.0) > 0,
}


def drawn(space: Space, count: int) -> list[tuple[Stack, dict]]:
    """Draw random stacks, each with its requested parameters."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    trials = [study.ask() for _ in range(count)]
    return [(space.draw(trial), trial.params) for trial in trials]


def test_every_space_has_a_promise() -> None:
    """PROMISES has exactly the named spaces."""
    assert set(PROMISES) == set(space_names())


@pytest.mark.parametrize("name", space_names())
def test_a_space_describes_its_question_and_cost(name: str) -> None:
    """A space has its file's name, describes its question and cost, and is documented."""
    space = Space.named(name)
    assert space.name == name
    assert space.about
    assert space.cost
    assert f"\n## `{name}`\n\n{space.about} {space.cost}\n" in (REFERENCE / "spaces.md").read_text(
        "utf-8"
    )


@pytest.mark.parametrize("name", space_names())
def test_a_space_survives_its_json(name: str) -> None:
    """A space written to JSON and read again draws the same stacks."""
    space = Space.named(name)
    again = Space.from_json(space.to_json())
    assert again == space
    assert [s for s, _ in drawn(again, 20)] == [s for s, _ in drawn(space, 20)]


@pytest.mark.parametrize("name", space_names())
def test_what_a_space_draws_keeps_its_promise(name: str) -> None:
    """Every draw has the promised properties, and replaying its parameters gives the same stack."""
    space = Space.named(name)
    for stack, parameters in drawn(space, 60):
        assert PROMISES[name](stack)
        assert space.draw(optuna.trial.FixedTrial(parameters)) == stack
        known = space.encode(stack)
        assert known is not None
        assert space.draw(optuna.trial.FixedTrial(known)) == stack
