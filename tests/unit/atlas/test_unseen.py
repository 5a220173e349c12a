"""The defaults on tables that did not choose them, beside gradient boosting."""

from __future__ import annotations

import pytest

from benchmarks.atlas.choosing import REALMLP
from benchmarks.atlas.record import SEEDS
from benchmarks.atlas.records import BASELINE, Run
from benchmarks.atlas.stacks import recorded_stacks
from benchmarks.atlas.unseen import DEFAULTS, lines, shares
from trainstack.spaces.portfolio import MEASURED_DEFAULT
from trainstack.spaces.references import reference

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
            *("t", name, seed, {}, 1, "completed", 1, [], [], 1, (0.0, 0.0)),
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


@pytest.mark.parametrize("task", DEFAULTS)
def test_the_defaults_are_those_of_the_product(task: str) -> None:
    """The stack of that name is the product's, which stops early and has a batch for large data."""
    stacks = {each.name: each.stack for each in recorded_stacks(task, 1000, 0)}
    recorded = stacks[DEFAULTS[task]]
    product = reference(MEASURED_DEFAULT, task).but(
        stopping="none", batch_size=recorded["batch_size"]
    )
    rate = "optimizer.learning_rate"
    assert product[rate] == pytest.approx(recorded[rate])
    assert {**product.to_json(), rate: None} == {**recorded.to_json(), rate: None}
