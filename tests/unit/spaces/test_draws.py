"""Draws from a named space are valid by an independent restatement of the chapter's rules."""

from __future__ import annotations

import math
import random

import numpy as np
import optuna
import pytest

from tests.support.planted_study import RandomTrial
from trainstack.spaces.for_data import (
    LEAST_UPDATES,
    MOST_EMBEDDED,
    fitted,
    for_categories,
    for_numbers,
    for_rows,
    for_task,
)
from trainstack.spaces.portfolio import MEASURED_DEFAULT, portfolio, suited
from trainstack.spaces.references import (
    CHAPTER_DEFAULT,
    CLASSICS,
    REFERENCES,
    REGRESSION_FORMS,
    first_stacks,
    reference,
)
from trainstack.spaces.space import Space, space_names
from trainstack.spaces.stack import Stack, stack_keys

DRAWS = 2_000

# The chapter's pairing table, deliberately restated.
GOES_WITH = {
    "glorot": {"linear", "tanh", "sigmoid"},
    "he": {"relu", "leaky_relu", "rrelu", "prelu", "elu", "gelu", "swish", "mish"},
    "lecun": {"selu", "mish"},
}

# Its choices by axis, likewise.
CHOICES = {
    "connection": {"plain", "residual"},
    "activation": set().union(*GOES_WITH.values()),
    "initializer": {f"{family}_{form}" for family in GOES_WITH for form in ("normal", "uniform")},
    "normalization": {"none", "before", "after"},
    "input_normalization": {"none", "batch"},
    "dropout": {"none", "all", "last", "hidden"},
    "penalty": {"none", "l1", "l2", "l1_l2"},
    "max_norm": {"none", "clip"},
    "optimizer": {"sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamax", "nadam"}
    | {"adamw", "ftrl"},
    "schedule": {"constant", "power", "exponential", "piecewise", "performance", "1cycle"}
    | {"cosine", "linear", "coslog", "flat_cosine"},
    "clipping": {"none", "value", "norm"},
}


# Parameter → its condition, and the choices that have it, unless all do.
POSITIVE = ("optimizer.learning_rate", "clipping.limit", "max_norm.radius", "batch_size")
SHARES = ("normalization.momentum", "input_normalization.momentum", "optimizer.momentum")
BRINGS = {
    "dropout.rate": ("dropout", {"all", "last", "hidden"}),
    "penalty.l1": ("penalty", {"l1", "l1_l2"}),
    "penalty.l2": ("penalty", {"l2", "l1_l2"}),
    "max_norm.radius": ("max_norm", {"clip"}),
    "clipping.limit": ("clipping", {"value", "norm"}),
}


def broken_rules(stack: dict) -> list[str]:
    """Return the chapter's rules that a stack (as JSON) violates."""
    numbers = {k: v for k, v in stack.items() if isinstance(v, float)}
    rules = {
        "pairing": stack["activation"] in GOES_WITH[stack["initializer"].split("_")[0]],
        "depth": 1 <= len(stack["units"]) <= 100,
        "widths": min(stack["units"]) >= 1,
        "dropout rate": 0 <= stack.get("dropout.rate", 0) <= 0.5,
        "piecewise order": stack.get("schedule.first", 0) <= stack.get("schedule.second", 1),
        **{f"{axis} known": stack[axis] in choices for axis, choices in CHOICES.items()},
        **{f"{key} finite": math.isfinite(value) for key, value in numbers.items()},
        **{f"{key} positive": stack.get(key, 1) > 0 for key in POSITIVE},
        **{f"{key} a share": 0 <= stack.get(key, 0) < 1 for key in SHARES},
        **{f"{key} small": 0 < stack.get(key, 0.5) < 1 for key in ("penalty.l1", "penalty.l2")},
        **{
            f"{key} where it is active": (key in stack) == (stack[axis] in choices)
            for key, (axis, choices) in BRINGS.items()
        },
    }
    return [name for name, kept in rules.items() if not kept]


def drawn(space: Space, count: int) -> list[Stack]:
    """Draw random stacks."""
    trial = RandomTrial(np.random.default_rng(0))
    return [space.draw(trial) for _ in range(count)]


@pytest.fixture(scope="module", params=space_names())
def draws(request: pytest.FixtureRequest) -> tuple[Space, list[Stack]]:
    """A named space with many draws."""
    space = Space.named(request.param)
    return space, drawn(space, DRAWS)


def test_every_draw_keeps_the_chapters_rules(draws: tuple[Space, list[Stack]]) -> None:
    """Every draw satisfies all rules."""
    _, stacks = draws
    assert {tuple(rules) for s in stacks if (rules := broken_rules(s.to_json()))} == set()


def test_every_draw_round_trips_through_json(draws: tuple[Space, list[Stack]]) -> None:
    """A stack's JSON gives the same stack and fingerprint."""
    import json

    _, stacks = draws
    for stack in stacks:
        again = Stack.from_json(json.loads(json.dumps(stack.to_json())))
        assert again == stack
        assert again.stack_id == stack.stack_id


def test_every_draw_round_trips_through_keywords(draws: tuple[Space, list[Stack]]) -> None:
    """The keywords of a stack build the same stack; none is more or less than the JSON's."""
    for stack in draws[1][:100]:
        given = stack.to_keywords()
        assert Stack.of(**given) == stack
        assert {key.replace("__", ".") for key in given} <= stack.to_json().keys()


def test_inactive_parameters_leave_no_trace(draws: tuple[Space, list[Stack]]) -> None:
    """A draw with added parameters of other choices is the same stack."""
    _, stacks = draws
    rng = random.Random(3)
    parameters = [key for key in stack_keys() if "." in key]
    for stack in stacks[::4]:
        noise = {key: rng.uniform(-9.0, 9.0) for key in parameters}
        noisy = Stack.from_json({**noise, **stack.to_json()})
        assert noisy == stack
        assert noisy.stack_id == stack.stack_id


def test_encoding_a_draw_and_drawing_it_again_gives_it_back(
    draws: tuple[Space, list[Stack]],
) -> None:
    """A stack of the space is encoded as parameters that draw it again."""
    space, stacks = draws
    for stack in stacks[:200]:
        parameters = space.encode(stack)
        assert parameters is not None
        assert space.draw(optuna.trial.FixedTrial(parameters)) == stack


def test_the_self_normalizing_bundle_holds_whole(draws: tuple[Space, list[Stack]]) -> None:
    """Every self-normalizing draw satisfies all conditions of the chapter, and of its inputs."""
    _, stacks = draws
    for stack in stacks:
        s = stack.to_json()
        whole = (
            s["activation"] == "selu"
            and s["initializer"] == "lecun_normal"
            and s["normalization"] == s["input_normalization"] == "none"
            and s["penalty"] == s["max_norm"] == "none"
            and s["connection"] == "plain"
            and s["preparation"] == s["parametrization"] == "standard"
            and s["embedding"] == s["input_scale"] == s["calibration"] == s["decay"] == "none"
            and s["bias"] == "zeros"
        )
        assert whole == (stack.family == "self-normalizing")


@pytest.mark.parametrize("axis", ["dropout", "penalty", "max_norm", "clipping", "normalization"])
def test_zero_is_an_arm_with_real_probability(axis: str, draws: tuple[Space, list[Stack]]) -> None:
    """An optional choice is often drawn as none, which is not the edge of a range."""
    space, stacks = draws
    arms = space.to_json()["axes"].get(axis, {})
    if "none" in arms:
        assert sum(stack[axis] == "none" for stack in stacks) > 0.2 * len(stacks)
    for key in (f"{axis}.rate", f"{axis}.l1", f"{axis}.l2", f"{axis}.limit"):
        assert min((stack[key] for stack in stacks if stack.get(key) is not None), default=1) > 0


def test_a_space_reads_back_as_it_was_written() -> None:
    """`space check` and `launch --space` read the output of `space show`."""
    for name in space_names():
        space = Space.named(name)
        assert Space.from_json(space.to_json()) == space
        assert space.about
        assert space.cost


def test_the_spaces_that_should_hold_the_references_do() -> None:
    """`modern` has every reference stack of one network but the residual one, the chapter's
    space its own."""

    def outside(name: str) -> set[str]:
        space = Space.named(name)
        return {name for name, stack in REFERENCES.items() if space.encode(stack) is None}

    residual = "chapter-not-self-normalizing"
    assert outside("modern") == {residual, "tabm-mini"}
    assert outside("chapter") == {residual, "realmlp-td-s", "tabm-mini", MEASURED_DEFAULT}


@pytest.mark.parametrize("task", ["classification", "regression", "multilabel"])
def test_a_search_starts_with_both_defaults_and_the_portfolio(task: str) -> None:
    """The chapter's default comes first, then the measured one and those of the portfolio that
    `modern` can draw; a search in the chapter's space goes on with its classics."""
    rows = 300
    modern = for_task(for_rows(Space.named("modern"), rows), task, by_loss=True)
    chosen = [(name, suited(stack, rows, 10)) for name, stack in portfolio(task)]
    offered = [(name, stack) for name, stack in chosen if modern.encode(stack) is not None]
    assert first_stacks(modern, task, rows, 10) == [("chapter-default", CHAPTER_DEFAULT), *offered]
    assert offered[0][0] == MEASURED_DEFAULT
    for name in set(space_names()) - {"modern"}:
        found = first_stacks(Space.named(name), task, rows, 10)
        assert [label for label, _ in found] == ["chapter-default", MEASURED_DEFAULT, *CLASSICS]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_measured_default_is_the_first_of_the_portfolio(task: str) -> None:
    """The reference by name is the portfolio's first stack; no stack is in it twice."""
    stacks = [stack for _, stack in portfolio(task)]
    assert reference(MEASURED_DEFAULT, task) == stacks[0]
    assert len(set(stacks)) == len(stacks)
    assert CHAPTER_DEFAULT not in stacks


@pytest.mark.parametrize("rows", [1, 511, 512, 4_095, 4_096, 100_000])
def test_a_batch_size_suits_the_rows(rows: int) -> None:
    """A batch size is the largest half of a half that allows 16 updates, but at least 32."""
    stack = Stack.of(batch_size=256, activation="elu", initializer="he_normal")
    found = suited(stack, rows, 10)
    assert found == stack.but(batch_size=found["batch_size"])
    size = found["batch_size"]
    assert size in (32, 64, 128, 256)
    assert size == 32 or rows >= LEAST_UPDATES * size
    assert size == 256 or rows < LEAST_UPDATES * 2 * size
    assert suited(Stack.of(batch_size=8), rows, 10)["batch_size"] == 8


@pytest.mark.parametrize(("numbers", "kept"), [(0, False), (1, True), (128, True), (129, False)])
def test_the_first_stacks_embed_numbers_where_that_suits_the_data(numbers: int, kept: bool) -> None:
    """Without numbers, or with very many, a stack starts without its embedding, so that the fitted
    space offers it."""
    stack = reference("realmlp-td-s", "regression").but(embedding="piecewise")
    assert suited(stack, 10_000, numbers) == (stack if kept else stack.but(embedding="none"))
    space = fitted(Space.named("modern"), 10_000, "regression", numbers, 0, by_loss=True)
    (_, found), *_ = first_stacks(space, "regression", 10_000, numbers)[1:]
    assert space.offers(found)


def test_a_reference_of_regressions_is_in_their_space() -> None:
    """`modern` has the forms for regressions, too, which draw no label smoothing."""
    space = for_task(Space.named("modern"), "regression", by_loss=False)
    for name, stack in REGRESSION_FORMS.items():
        assert reference(name, "regression") == stack != reference(name, "classification")
        assert space.encode(stack) is not None


@pytest.mark.parametrize(
    ("task", "by_loss"),
    [("regression", False), ("regression", True), ("classification", True), ("multilabel", True)],
)
def test_labels_are_smoothed_only_for_another_metric_of_classes(task: str, by_loss: bool) -> None:
    """The space of a regression, or where the log loss decides, is the same without smoothing."""
    document = Space.named("quick").to_json()
    document["axes"]["label_smoothing"] = {"low": 0.01, "high": 0.2}
    space = Space.from_json(document)
    kept = for_task(space, "classification", by_loss=False)
    smoothed = kept.draw(RandomTrial(np.random.default_rng(1)))
    plain = for_task(space, task, by_loss).draw(RandomTrial(np.random.default_rng(1)))
    assert kept == space
    assert smoothed["label_smoothing"] > 0.0
    assert plain == smoothed.but(label_smoothing=0.0)


@pytest.mark.parametrize(
    ("numbers", "embedded"), [(0, False), (1, True), (MOST_EMBEDDED, True), (784, False)]
)
def test_numbers_are_embedded_if_there_are_some_and_not_very_many(
    numbers: int, embedded: bool
) -> None:
    """The space `modern` embeds numbers only where a row has between one and MOST_EMBEDDED."""
    space = for_numbers(Space.named("modern"), numbers)
    drawn_here = {stack["embedding"] for stack in drawn(space, 60)}
    assert drawn_here == ({"none", "periodic", "piecewise"} if embedded else {"none"})
    assert Space.from_json(space.to_json()) == space


def test_a_space_that_always_embeds_is_unchanged() -> None:
    """A space whose only choice is an embedding keeps it for any number of features."""
    document = Space.named("modern").to_json()
    del document["axes"]["embedding"]["none"]
    space = Space.from_json(document)
    assert for_numbers(space, 784) == space


@pytest.mark.parametrize(("most", "offered"), [(0, False), (8, False), (9, True)])
def test_categories_are_embedded_where_a_column_has_many(most: int, offered: bool) -> None:
    """`modern` draws embeddings of categories only for data with more than 8 in a column."""
    space = for_categories(Space.named("modern"), most)
    found = {stack["categories"] for stack in drawn(space, 60)}
    assert found == {"one_hot", *(["embedded"] if offered else [])}
    assert for_categories(space, most) == space


def test_a_space_of_embedded_categories_alone_becomes_one_of_one_hot() -> None:
    """Without a column to embed there is always a choice left."""
    document = Space.named("quick").to_json()
    document["axes"]["categories"] = {"embedded": {"levels": {"low": 4, "high": 20}}}
    space = Space.from_json(document)
    assert {stack["categories"] for stack in drawn(for_categories(space, 4), 20)} == {"one_hot"}
    assert for_categories(space, 5) == space


def test_a_choice_that_leaves_one_on_another_axis_is_drawn_with_it() -> None:
    """Biases are drawn only for dense layers that have them; such draws are encoded and read."""
    document = Space.named("chapter").to_json()
    document["axes"] |= {"bias": {"normal": {}, "data": {}}, "calibration": {"weights": {}}}
    space = Space.from_json(document)
    stacks = drawn(space, 300)
    found = {(stack["normalization"] == "before", stack["bias"]) for stack in stacks}
    rest = [s for s in stacks if not s.self_normalizing and s["normalization"] != "before"]
    assert {(True, "zeros"), (False, "normal"), (False, "data")} <= found
    assert (True, "normal") not in found
    assert (True, "data") not in found
    assert {stack["bias"] for stack in rest} == {"normal", "data"}
    for stack in stacks[:50]:
        parameters = space.encode(stack)
        assert parameters is not None
        assert space.draw(optuna.trial.FixedTrial(parameters)) == stack
