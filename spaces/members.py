"""The table of networks in one stack: a single one, or members whose predictions are averaged."""

from __future__ import annotations

from trainstack.spaces.choices import Choice, Parameter, table

MEMBERS: dict[str, Choice] = table(
    Choice("one", "a single network"),
    # 32 is the number of the paper, and its gain grows up to it.
    Choice(
        "shared",
        "networks that share the hidden layers; each scales the inputs by its own learned numbers, "
        "has its own head and its own loss, and predictions are averaged (TabM-mini, Gorishniy et "
        "al. 2024)",
        (Parameter("count", 32, 2, 32, integer=True),),
    ),
    Choice(
        "independent",
        "networks that share nothing, each with initial weights, masks and a loss of its own, "
        "trained on the same batches; predictions are averaged (deep ensembles, Lakshminarayanan "
        "et al. 2017)",
        (Parameter("count", 8, 2, 32, integer=True),),
    ),
)
