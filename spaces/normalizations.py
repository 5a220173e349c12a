"""The tables of normalizations of the hidden layers and of the input.

Batch normalization: Ioffe and Szegedy, "Batch Normalization", 2015.
"""

from __future__ import annotations

from trainstack.spaces.choices import Choice, Parameter, table

_MOMENTUM = Parameter("momentum", 0.99, 0.5, 0.9999)

NORMALIZATIONS: dict[str, Choice] = table(
    Choice("none", "no normalization"),
    Choice("before", "batch normalization before the activation; dense without bias", (_MOMENTUM,)),
    Choice("after", "batch normalization after the activation", (_MOMENTUM,)),
)

INPUT_NORMALIZATIONS: dict[str, Choice] = table(
    Choice("none", "the prepared inputs as they are"),
    Choice("batch", "the inputs pass a batch-normalization layer first", (_MOMENTUM,)),
)
