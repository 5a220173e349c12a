"""The table of embeddings: what a network is given of each number.

Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning", 2022
(arXiv 2203.05556).
"""

from __future__ import annotations

from trainstack.spaces.choices import Choice, Parameter, table

# Factor on the learning rate of the embedding's weights.
_RATE = "rate_factor"

EMBEDDINGS: dict[str, Choice] = table(
    Choice("none", "the numbers as they are"),
    Choice(
        "periodic",
        "each number, and learned sums of its cosines (PBLD of Holzmüller et al. 2024)",
        (
            Parameter("frequencies", 16, 1, 256, integer=True),
            Parameter("sigma", 0.1, 0.001, 100.0),
            Parameter("width", 4, 2, 64, integer=True),
            Parameter(_RATE, 0.1, 0.0, 100.0),
        ),
    ),
    Choice(
        "piecewise",
        "learned functions of each number, linear between its quantiles (Gorishniy et al. 2022)",
        (
            Parameter("bins", 16, 2, 256, integer=True),
            Parameter("width", 8, 1, 64, integer=True),
            Parameter(_RATE, 1.0, 0.0, 100.0),
        ),
    ),
)
