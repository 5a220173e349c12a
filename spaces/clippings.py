"""The table of gradient clippings (Pascanu et al., "On the difficulty of training RNNs", 2013)."""

from __future__ import annotations

from trainstack.spaces.choices import Choice, Parameter, table

CLIPPINGS: dict[str, Choice] = table(
    Choice("none", "gradients as they are"),
    Choice("value", "each component to ±limit", (Parameter("limit", 1.0, 1e-6, 1e6),)),
    Choice("norm", "all gradients together to this norm", (Parameter("limit", 1.0, 1e-6, 1e6),)),
)
