"""A space suited to a data set: without the choices that do nothing, or nothing good, for it."""

from __future__ import annotations

import dataclasses

from trainstack.spaces.axes import BUNDLE_AXIS
from trainstack.spaces.domains import Choices, Fixed
from trainstack.spaces.reusable import Reusable
from trainstack.spaces.space import Space

# Least updates per epoch that a batch size should allow.
LEAST_UPDATES = 16
# Most numbers of a row that are embedded: each becomes 4 to 8 inputs of the first layer, or more.
MOST_EMBEDDED = 128


def fitted(
    space: Space, rows: int, task: str, numbers: int, categories: int, by_loss: bool
) -> Space:
    """Return a space with only the choices that suit a data set.

    Args:
        space: Any space.
        rows: Number of training rows.
        task: The data's task.
        numbers: Features that are quantities.
        categories: Categories of the column that has most, 0 if there is none.
        by_loss: Whether the loss decides, not another metric.
    """
    space = for_numbers(for_task(for_rows(space, rows), task, by_loss), numbers)
    return for_categories(space, categories)


def for_rows(space: Space, rows: int) -> Space:
    """Return a space with batch sizes suited to a number of training rows.

    The sizes with at least LEAST_UPDATES updates per epoch are kept, and the smallest. A range
    or a fixed size is unchanged.
    """
    offered = space.numbers["batch_size"]
    if not isinstance(offered, Choices):
        return space
    smallest = min(offered.values)
    fit = [size for size in offered.values if size <= max(smallest, rows / LEAST_UPDATES)]
    domain = Fixed(fit[0]) if len(fit) == 1 else Choices(tuple(fit))
    return dataclasses.replace(space, numbers={**space.numbers, "batch_size": domain})


def for_task(space: Space, task: str, by_loss: bool) -> Space:
    """Return a space without the choices that do nothing for a task, or nothing good.

    A regression has no labels to smooth, and smooth labels raise the log loss (decision 0107).

    Args:
        space: The space.
        task: The data's task.
        by_loss: Whether the loss decides, not another metric.
    """
    if task != "regression" and not by_loss:
        return space
    return dataclasses.replace(space, numbers={**space.numbers, "label_smoothing": Fixed(0.0)})


def embeds(numbers: int) -> bool:
    """Return whether to embed numbers, of which a row has this many."""
    return 0 < numbers <= MOST_EMBEDDED


def for_numbers(space: Space, numbers: int) -> Space:
    """Return a space without embeddings of numbers for data that has none, or very many.

    A space that offers nothing else is unchanged.

    Args:
        space: The space.
        numbers: Features that are quantities.
    """
    arms = space.arms["embedding"]
    if embeds(numbers) or "none" not in arms:
        return space
    return dataclasses.replace(space, arms={**space.arms, "embedding": {"none": arms["none"]}})


def for_categories(space: Space, most: int) -> Space:
    """Return a space without embeddings of categories for data that has none to embed.

    Args:
        most: Categories of the column that has most, 0 if there is none.
    """
    arms = dict(space.arms["categories"])
    if "embedded" in arms and most <= arms["embedded"]["levels"].least:
        del arms["embedded"]
    arms = arms or {"one_hot": {}}
    return dataclasses.replace(space, arms={**space.arms, "categories": arms})


def with_reused(space: Space, reused: Reusable) -> Space:
    """Return a space with networks that start with layers of a saved model.

    They have its widths and activation, and plain dense layers: the first question is whether
    a stack is one of them, so that every such stack fits. An arm `reuse` of the space's own
    keeps its numbers.
    """
    layers = tuple(range(1, len(reused.units) + 1))
    numbers = {
        "layers": Fixed(1) if len(layers) == 1 else Choices(layers),
        "frozen": Choices((0.1, 0.25, 0.5)),
        "rate_factor": Choices((0.1, 0.3, 1.0)),
    }
    pretraining = {"none": {}, "reuse": numbers, **space.arms["pretraining"]}
    bundle = {**space.arms[BUNDLE_AXIS], "reused": {}}
    arms = {**space.arms, "pretraining": pretraining, BUNDLE_AXIS: bundle}
    return dataclasses.replace(space, arms=arms, reused=reused)
