"""The table of preparations: how encoded features become the network's inputs.

All numbers come from the training rows of a split (`trainstack.search.data.preparation`).
"""

from __future__ import annotations

from trainstack.spaces.choices import Choice, table

STANDARD = "standard"

PREPARATIONS: dict[str, Choice] = table(
    Choice(STANDARD, "(x - mean) / standard deviation"),
    Choice(
        "robust_clip",
        "z = (x - median) / distance of the quartiles, then z / sqrt(1 + (z/3)²): between -3 and 3 "
        "(Holzmüller et al. 2024)",
    ),
    Choice(
        "quantile",
        "quantiles to those of a normal distribution, between -5.2 and 5.2; features of two "
        "values as `standard`",
    ),
    Choice("unit", "(x - minimum) / (maximum - minimum): 0 to 1 in training"),
)
