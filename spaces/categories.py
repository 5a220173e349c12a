"""The table of what a network is given of each categorical column.

Guo and Berkhahn, "Entity Embeddings of Categorical Variables", 2016 (arXiv 1604.06737).
"""

from __future__ import annotations

from trainstack.spaces.choices import Choice, Parameter, table

CATEGORIES: dict[str, Choice] = table(
    Choice("one_hot", "one feature for each category"),
    Choice(
        "embedded",
        "`size` learned numbers for each category of a column with more than `levels` of them "
        "(Guo and Berkhahn 2016)",
        (
            Parameter("levels", 8, 1, 100, integer=True),
            Parameter("size", 8, 1, 64, integer=True),
            # Factor on the learning rate of these numbers.
            Parameter("rate_factor", 1.0, 0.0, 100.0),
        ),
    ),
)
