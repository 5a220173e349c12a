"""Build 2,000 draws of each named space as networks, at their own widths and depths.

    python -m benchmarks.building [SPACE ...]

The suite builds a few hundred draws that cover every pair of choices drawn together
(`tests/keras/test_draws_build.py`); this builds them all, which takes longer. Keras makes and
connects every layer and computes every shape; only the weights' memory is not filled.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from trainstack.search.data.inputs import Inputs
from trainstack.spaces.axes import CHOICE_AXES, NUMBER_AXES
from trainstack.spaces.space import Space, space_names
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import make_optimizer, plain_model
from trainstack.workers.engine.rates import RateMaker

DRAWS, FEATURES, OUTPUTS = 2_000, 12, 4
# Beside that many numbers there is a column of this many categories.
LEVELS = 10


@dataclass
class Dice:
    """A trial with random values, for draws without a study."""

    random: random.Random = field(default_factory=lambda: random.Random(1))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number of the range."""
        share = self.random.random()
        drawn = low * (high / low) ** share if log else low + (high - low) * share
        return min(high, max(low, drawn))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return a whole number of the range."""
        return self.random.randint(low, high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""
        return self.random.choice(choices)


def draws(name: str) -> list[Stack]:
    """Draw the stacks to build from a named space."""
    space, dice = Space.named(name), Dice()
    return [space.draw(dice) for _ in range(DRAWS)]


def in_pairs(
    stacks: Iterable[Stack], axes: Sequence[str] = (*CHOICE_AXES, *NUMBER_AXES)
) -> list[Stack]:
    """Return a few stacks that cover every pair of choices on these axes that occurs.

    They are the shallowest such stacks, and the deepest of all.
    """
    *ordered, deepest = sorted(stacks, key=lambda stack: len(stack.units))
    seen: set[tuple[Any, Any]] = set()
    kept = []
    for stack in ordered:
        choices = [(axis, stack[axis]) for axis in axes]
        pairs = set(combinations(choices, 2))
        if not pairs <= seen:
            seen |= pairs
            kept.append(stack)
    return [*kept, deepest]


def expected_weights(stack: Stack) -> int:
    """Count a stack's weights.

    They are kernels, biases, four numbers per normalized unit, slopes, scales of the inputs, and
    those of embeddings: a kernel and a bias for each component, and for each mixture of them; some
    numbers for each category.
    """
    width = stack.get("embedding.width", 1)
    inputs, embedded = FEATURES * width, 0
    numbers = stack.get("categories.size", 0)
    inputs += numbers or LEVELS
    if stack["embedding"] == "periodic":  # the number itself is one of the outputs
        embedded = _embedding(stack["embedding.frequencies"], width - 1)
    elif stack["embedding"] == "piecewise":
        embedded = _embedding(stack["embedding.bins"], width)
    scales = inputs if stack["input_scale"] == "learned" else 0
    widths = [inputs, *stack.units, OUTPUTS]
    kernels = sum(a * b for a, b in pairwise(widths))
    hidden = sum(stack.units)
    biases = OUTPUTS + (0 if stack["normalization"] == "before" else hidden)
    normalized = hidden if stack["normalization"] != "none" else 0
    normalized += inputs if stack["input_normalization"] == "batch" else 0
    slopes = hidden if stack["activation"] == "prelu" else 0
    embedded = FEATURES * embedded + LEVELS * numbers
    return kernels + biases + 4 * normalized + slopes + scales + embedded


def _embedding(components: int, mixtures: int) -> int:
    return 2 * components + mixtures * (components + 1)


def build(stack: Stack) -> None:
    """Make a stack's network, optimizer and learning rates.

    Raises:
        AssertionError: They do not match the stack.
    """
    with keras.StatelessScope(initialize_variables=False):
        model = plain_model(stack, Inputs(FEATURES, LEVELS, (LEVELS,)), OUTPUTS)
    assert model.output_shape == (None, OUTPUTS), stack
    assert model.count_params() == expected_weights(stack), stack
    rate = stack["optimizer.learning_rate"]
    assert np.isclose(float(make_optimizer(stack).learning_rate), rate), stack
    maker = RateMaker(stack, steps_per_epoch=3, epochs=4)
    rates = np.concatenate([maker.rates(epoch) for epoch in range(1, 5)])
    assert (rates >= 0).all(), stack
    assert (rates <= rate * (1 + 1e-6)).all(), stack


def main() -> None:
    """Build every draw of the named spaces; print the numbers and the time taken."""
    print("| space | draws built | different stacks | hidden layers | processor seconds |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in sys.argv[1:] or space_names():
        began, stacks = time.process_time(), draws(name)
        for stack in stacks:
            build(stack)
        layers = sum(len(stack.units) for stack in stacks)
        took = time.process_time() - began
        cells = (f"{len(stacks):,}", f"{len(set(stacks)):,}", f"{layers:,}", f"{took:.0f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
