"""What is drawn from a named space is valid by the chapter's rules, restated here on their own."""

from __future__ import annotations

import math

import optuna
import pytest

from spaces.references import REFERENCES
from spaces.space import Space, space_names
from spaces.stack import Stack

DRAWS = 2_000

# The chapter's pairing table, written out a second time on purpose.
GOES_WITH = {
    "glorot": {"linear", "tanh", "sigmoid"},
    "he": {"relu", "leaky_relu", "rrelu", "prelu", "elu", "gelu", "swish", "mish"},
    "lecun": {"selu"},
}


def broken_rules(stack: dict) -> list[str]:
    """Return which of the chapter's rules a stack (as JSON) breaks."""
    broken = []
    family = stack["initializer"].split("_")[0]
    if stack["activation"] not in GOES_WITH[family]:
        broken.append("pairing")
    if not 1 <= len(stack["units"]) <= 100 or min(stack["units"]) < 1:
        broken.append("shape")
    for key, value in stack.items():
        if isinstance(value, float) and not math.isfinite(value):
            broken.append(f"{key} not finite")
    if stack["dropout"] != "none" and not 0 <= stack["dropout.rate"] <= 0.5:
        broken.append("dropout rate")
    if ("dropout.rate" in stack) != (stack["dropout"] != "none"):
        broken.append("inactive dropout rate")
    if ("penalty.l1" in stack) != (stack["penalty"] in ("l1", "l1_l2")):
        broken.append("inactive l1")
    if ("penalty.l2" in stack) != (stack["penalty"] in ("l2", "l1_l2")):
        broken.append("inactive l2")
    if stack["optimizer.learning_rate"] <= 0:
        broken.append("learning rate")
    for weight in ("penalty.l1", "penalty.l2"):
        if weight in stack and not 0 < stack[weight] < 1:
            broken.append(weight)
    if stack["schedule"] == "piecewise" and stack["schedule.first"] > stack["schedule.second"]:
        broken.append("piecewise order")
    return broken


def drawn(space: Space, count: int) -> list[Stack]:
    """Draw stacks at random."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [space.draw(study.ask()) for _ in range(count)]


@pytest.fixture(scope="module", params=space_names())
def draws(request: pytest.FixtureRequest) -> tuple[Space, list[Stack]]:
    """A named space with many draws."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = Space.named(request.param)
    return space, drawn(space, DRAWS)


def test_every_draw_keeps_the_chapters_rules(draws: tuple[Space, list[Stack]]) -> None:
    """Nothing invalid can be drawn."""
    _, stacks = draws
    assert {tuple(rules) for s in stacks if (rules := broken_rules(s.to_json()))} == set()


def test_every_draw_round_trips_through_json(draws: tuple[Space, list[Stack]]) -> None:
    """A stack's JSON gives the same stack and the same fingerprint back."""
    import json

    _, stacks = draws
    for stack in stacks:
        again = Stack.from_json(json.loads(json.dumps(stack.to_json())))
        assert again == stack
        assert again.stack_id == stack.stack_id


def test_encoding_a_draw_and_drawing_it_again_gives_it_back(
    draws: tuple[Space, list[Stack]],
) -> None:
    """A stack of the space becomes the parameters that draw it."""
    space, stacks = draws
    for stack in stacks[:200]:
        parameters = space.encode(stack)
        assert parameters is not None
        assert space.draw(optuna.trial.FixedTrial(parameters)) == stack


def test_the_self_normalizing_bundle_holds_whole(draws: tuple[Space, list[Stack]]) -> None:
    """What calls itself self-normalizing meets every condition of the chapter."""
    _, stacks = draws
    for stack in stacks:
        s = stack.to_json()
        whole = (
            s["activation"] == "selu"
            and s["initializer"] == "lecun_normal"
            and s["normalization"] == s["input_normalization"] == "none"
            and s["penalty"] == s["max_norm"] == "none"
            and s["connection"] == "plain"
        )
        assert whole == (stack.family == "self-normalizing")


@pytest.mark.parametrize(
    ("axis", "zero"), [("dropout", "none"), ("penalty", "none"), ("max_norm", "none")]
)
def test_zero_is_an_arm_with_real_probability(axis: str, zero: str) -> None:
    """No dropout, no penalty and no max-norm are drawn often, not as the edge of a range."""
    stacks = drawn(Space.named("chapter"), 500)
    share = sum(stack[axis] == zero for stack in stacks) / len(stacks)
    assert share > 0.2


def test_a_space_reads_back_as_it_was_written() -> None:
    """`space show` prints what `space check` and `launch --space` read."""
    for name in space_names():
        space = Space.named(name)
        assert Space.from_json(space.to_json()) == space
        assert space.about
        assert space.cost


def test_the_spaces_that_should_hold_the_references_do() -> None:
    """The chapter's space can express every reference stack but the residual one."""
    space = Space.named("chapter")
    outside = {name for name, stack in REFERENCES.items() if space.encode(stack) is None}
    assert outside == {"chapter-not-self-normalizing"}
