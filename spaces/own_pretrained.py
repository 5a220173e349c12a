"""The layers of a saved model in a user's own network: fresh, frozen, or thawed after some epochs.

`stack.pretrained` asks for these numbers, which are axes of the study like a network's others.

References: Yosinski et al., "How transferable are features in deep neural networks?", 2014; Howard
and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018 (thawing at a lower
rate).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainstack.spaces.domains import Domain
from trainstack.spaces.own_numbers import PREFIX, usual
from trainstack.spaces.stack import Stack

# Names of the numbers: the choice, the epochs in which a thawed model is frozen first, and the
# factor on its learning rate after them.
CHOICE, FROZEN_EPOCHS, RATE_FACTOR = "pretrained", "pretrained_frozen", "pretrained_rate_factor"
# Frozen to the end; thawed after some epochs; the same layers with fresh weights.
FROZEN, THAWED, FRESH = "frozen", "thawed", "fresh"
# Keys in a stack that do not change what is built.
SCHEDULED = (PREFIX + FROZEN_EPOCHS, PREFIX + RATE_FACTOR)


def own_rate(stack: Stack, epoch: int) -> float:
    """Return the factor on the learning rate of a saved model's layers in an epoch (from 1).

    >>> stack = Stack.of(network__pretrained="thawed", network__pretrained_frozen=2,
    ...                  network__pretrained_rate_factor=0.3)
    >>> [own_rate(stack, epoch) for epoch in (1, 2, 3)], own_rate(Stack.of(), 1)
    ([0.0, 0.0, 0.3], 1.0)
    """
    choice = stack.get(PREFIX + CHOICE, FRESH)
    if choice == FROZEN:
        return 0.0
    if choice == FRESH:
        return 1.0
    return 0.0 if epoch <= stack[PREFIX + FROZEN_EPOCHS] else stack[PREFIX + RATE_FACTOR]


def completed(stack: Stack, asked: Mapping[str, Domain]) -> Stack:
    """Return a stack with these numbers' usual values where it has none.

    Args:
        stack: A stack of a user's network; the chapter's default has no numbers of networks.
        asked: The numbers that the network asks for.
    """
    numbers = (CHOICE, FROZEN_EPOCHS, RATE_FACTOR)
    usually: dict[str, Any] = {
        f"network__{name}": usual(asked[name])
        for name in numbers
        if name in asked and stack.get(PREFIX + name) is None
    }
    return stack.but(**usually) if usually else stack
