"""What decides a study: the objective, and how its values are shown."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainstack.search.data.split_keys import HELD_OUT_FRACTION
from trainstack.search.data_spec import DataSpec
from trainstack.search.evidence.estimates import Estimate
from trainstack.search.metrics.table import BESIDE, METRICS
from trainstack.search.spec import StudySpec

LOSS = "loss"
_ROUNDING = 2.0**-23


@dataclass(frozen=True)
class Deciding:
    """The figure that decides a study.

    The objective, which is minimized, is this figure, or 1 - figure if higher is better. Evidence
    is about the objective; `value` and `difference` return the figure itself.

    Attributes:
        figure: `loss`, or the name of the metric that was asked for.
        metric: Name of the metric.
        rises: Whether higher is better.
        beside: The figure that is always given beside the loss: `accuracy` or `rmse`.
        resolution: Least difference of the figure that means something; see `resolution_of`.
        network: Name of the user's own network that stacks are put into; empty: there is none.
    """

    figure: str = LOSS
    metric: str = "log_loss"
    rises: bool = False
    beside: str = "accuracy"
    resolution: float = 0.0
    network: str = ""

    @classmethod
    def of(cls, spec: StudySpec) -> Deciding:
        """Return what decides a study."""
        asked, beside = spec.asked, BESIDE[spec.data.task]
        if spec.decided_by_loss:
            return cls(LOSS, asked.name, False, beside, network=spec.network_name)
        least = resolution_of(spec.data, spec.folds) if asked.counts else 0.0
        return cls(asked.name, asked.name, asked.rises, beside, least, spec.network_name)

    @property
    def objective(self) -> str:
        """Name of the objective, such as `loss` or `1 - roc_auc`."""
        return f"1 - {self.figure}" if self.rises else self.figure

    @property
    def best(self) -> str:
        """`highest` or `lowest`: the best value of the figure."""
        return "highest" if self.rises else "lowest"

    @property
    def shown(self) -> tuple[str, ...]:
        """Figures to show, in order: the loss, the one beside it, and what decides."""
        return tuple(dict.fromkeys((LOSS, self.beside, self.figure)))

    def value(self, objective: Estimate) -> Estimate:
        """Return the figure of an objective, or the objective of a figure."""
        if not self.rises:
            return objective
        ends = objective.ci95 and (1.0 - objective.ci95[1], 1.0 - objective.ci95[0])
        return Estimate(1.0 - objective.mean, ends, objective.n, objective.deviation)

    def figure_of(self, objective: float) -> float:
        """Return the figure of a single objective.

        >>> Deciding("accuracy", "accuracy", rises=True).figure_of(0.25)
        0.75
        """
        return 1.0 - objective if self.rises else objective

    def difference(self, objective: Estimate) -> Estimate:
        """Return a difference in the figure from a difference in the objective."""
        return objective.scaled(-1.0) if self.rises else objective


BY_LOSS = Deciding()


def resolution_of(data: DataSpec, folds: int = 1) -> float:
    """Return the least difference of a metric that counts rows: one row of the validation part.

    The part is taken to be a drawn one, a fifth of the rows beside the test part, or that of a
    confirmation run's fold; of several labels a row counts for each. The rounding of two float32
    numbers is added, so that a difference of one row is never above it. It is 0 if the number of
    rows is not known.

    >>> round(1 / resolution_of(DataSpec("d", None, "classification", "", 4, ("a", "b"), 101)), 3)
    16.0
    """
    rest = data.rows - math.ceil(HELD_OUT_FRACTION * data.rows)
    share = 1 / folds if folds > 1 else HELD_OUT_FRACTION
    counted = math.ceil(share * rest) * max(1, len(data.targets))
    return 1.0 / counted + _ROUNDING if counted else 0.0


def heading(objective: str) -> str:
    """Return the objective's name for the beginning of a title.

    >>> heading("loss"), heading("1 - roc_auc"), heading("mae")
    ('Loss', '1 - roc_auc', 'mae')
    """
    return objective.capitalize() if objective == LOSS else objective


def range_of(figure: str) -> tuple[float, float]:
    """Return the least and the greatest possible value of a figure."""
    if figure == LOSS:
        return 0.0, math.inf
    row = METRICS.get(figure)
    return (row.low, row.high) if row else (-math.inf, math.inf)
