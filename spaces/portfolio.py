"""The portfolio: stacks that recorded runs on many data sets favour, best first.

A search starts with them; the first one is the measured default, the reference
`trainstack-default`. `python -m benchmarks.atlas.portfolio` chooses them and writes the table,
`portfolio.json`, with its provenance.

Reference: Feurer et al., "Auto-Sklearn 2.0", 2022 (greedy portfolios).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from trainstack.spaces.for_data import LEAST_UPDATES, embeds
from trainstack.spaces.stack import Stack

# Label of the measured default, the first stack of the portfolio.
MEASURED_DEFAULT = "trainstack-default"

# The batch size that suits any number of rows.
LEAST_BATCH = 32

TABLE = Path(__file__).parent / "portfolio.json"


def suited(stack: Stack, rows: int, numbers: int) -> Stack:
    """Return a stack as it suits a data set.

    The batch size is halved until it allows LEAST_UPDATES updates per epoch, or is LEAST_BATCH.
    Numbers are not embedded if there are none, or very many.

    Args:
        stack: The stack.
        rows: Number of training rows.
        numbers: Features that are quantities.
    """
    if stack["embedding"] != "none" and not embeds(numbers):
        stack = stack.but(embedding="none")
    size = stack["batch_size"]
    while size > LEAST_BATCH and size * LEAST_UPDATES > rows:
        size //= 2
    return stack if size == stack["batch_size"] else stack.but(batch_size=size)


@cache
def portfolio(task: str) -> tuple[tuple[str, Stack], ...]:
    """Return the stacks for a task, best first, with their labels.

    Their batch sizes are those of large data; `suited` reduces them.
    """
    form = "regression" if task == "regression" else "classification"
    stacks = [Stack.from_json(document) for document in _table()["stacks"][form]]
    labels = [MEASURED_DEFAULT, *(f"portfolio-{place}" for place in range(2, len(stacks) + 1))]
    return tuple(zip(labels, stacks, strict=True))


@cache
def _table() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(TABLE.read_text("utf-8"))
    return document
