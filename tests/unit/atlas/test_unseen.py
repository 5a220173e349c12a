"""The defaults on tables that did not choose them, beside gradient boosting."""

from __future__ import annotations

from benchmarks.atlas.choosing import REALMLP
from benchmarks.atlas.record import SEEDS
from benchmarks.atlas.records import BASELINE, Run
from benchmarks.atlas.unseen import lines, shares

DEFAULT = "averaged/same@1"
# Of each stack, test losses of the three seeds and shares of right classes.
FIGURES = {
    BASELINE: ([0.5, 0.3, 0.2], [0.7, 0.8, 0.9]),
    DEFAULT: ([0.4, 0.2, 0.2], [0.8, 0.9, 0.9]),
    REALMLP: ([1.0, 0.6, 0.4], [0.4, 0.6, 0.8]),
}
BOOSTED = {"t": [{"loss": 0.3, "accuracy": 0.85} for _ in SEEDS]}


def runs() -> list[Run]:
    """The runs of those figures on one data set."""
    return [
        Run(
            *("t", name, seed, {}, 1, "completed", 1, [loss], [right], 1, (0.0, 0.0)),
            valid={"loss": loss},
            test={"loss": loss, "accuracy": right},
        )
        for name, figures in FIGURES.items()
        for seed, loss, right in zip(SEEDS, *figures, strict=True)
    ]


def test_figures_are_shares_of_the_chapters_default() -> None:
    """Sums over the seeds are compared: losses of 1.0 in all, and six tenths of wrong classes."""
    losses, errors = shares(runs(), BOOSTED, DEFAULT)["t"]
    assert [round(float(share), 6) for share in losses] == [0.8, 2.0, 0.9]
    assert [round(float(share), 6) for share in errors] == [round(4 / 6, 6), 2.0, 0.75]


def test_the_text_counts_the_tables_on_which_the_default_is_ahead() -> None:
    """Its loss is below gradient boosting's on the one table."""
    text = "\n".join(lines(runs(), BOOSTED))
    assert "| t | 0.80 | 2.00 | 0.90 | 0.67 | 2.00 | 0.75 |" in text
    assert "loss below gradient boosting's on 1 of 1" in text
