"""The table of averages of the weights, which are measured and kept in place of the last weights.

Training goes on from the weights themselves. Averages of a batch-normalized network include the
normalization's own averages.
"""

from __future__ import annotations

from trainstack.spaces.choices import Choice, Parameter, table

AVERAGINGS: dict[str, Choice] = table(
    Choice("none", "the weights as the last step left them"),
    Choice(
        "exponential",
        "exponential moving average: after each step decay · it + (1 - decay) · the weights, from "
        "those after the first step (Polyak and Juditsky 1992)",
        (Parameter("decay", 0.99, 0.9, 0.9999),),
    ),
    Choice(
        "last",
        "mean of the weights after each epoch of the last share of the plan, as far as it has "
        "come (Izmailov et al. 2018); before it the weights themselves",
        (Parameter("share", 0.25, 0.05, 0.75),),
    ),
)


def averaged_epochs(share: float, epochs: int) -> int:
    """Return the number of last epochs that `last` averages: a share of the plan, at least 1."""
    return max(1, round(share * epochs))
