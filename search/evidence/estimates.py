"""Records of figures: estimates with intervals, differences, scores, verdicts.

A missing number is nan here, and null in the JSON that is made of the records.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from trainstack.search.json_values import HIDDEN, IF_ANY, OR_NULL
from trainstack.search.records import Word

# Low and high end.
Interval = tuple[float, float]


class Verdict(Word):
    """Result of comparing two stacks by the interval of their difference."""

    BETTER = "better"
    EQUIVALENT = "equivalent"
    WORSE = "worse"
    UNDECIDED = "undecided"
    NO_EVIDENCE = "no evidence"


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval.

    Attributes:
        mean: The mean; null without values.
        ci95: The 95 % interval, low and high; null with fewer than two values.
        n: Number of values: seeds, pairs or test rows.
        deviation: Standard deviation behind the interval, or None.
        freedom: Degrees of freedom behind the interval, or None.
    """

    mean: float = field(metadata=OR_NULL)
    ci95: Interval | None = None
    n: int = 0
    deviation: float | None = field(default=None, metadata=HIDDEN)
    freedom: float | None = field(default=None, compare=False, metadata=HIDDEN)

    @property
    def low(self) -> float | None:
        """Lower end of the interval, or None if there is none."""
        return self.ci95[0] if self.ci95 else None

    @property
    def high(self) -> float | None:
        """Upper end of the interval, or None if there is none."""
        return self.ci95[1] if self.ci95 else None

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate multiplied by `factor` (-1 reverses it)."""
        ends = sorted(end * factor for end in self.ci95 or ())
        deviation = None if self.deviation is None else abs(factor) * self.deviation
        both = (ends[0], ends[1]) if ends else None
        return Estimate(self.mean * factor, both, self.n, deviation, self.freedom)


@dataclass(frozen=True)
class Difference:
    """A paired difference of two stacks.

    Attributes:
        metric: The figure compared: `loss`, the objective of the metric asked for such as
            `1 - roc_auc`, or `regret` over several data sets.
        mean: Mean difference, the first stack's figure minus the second's; null without pairs.
        ci95: Its 95 % interval, for all comparisons together, or null.
        n_pairs: Number of pairs.
    """

    metric: str
    mean: float = field(metadata=OR_NULL)
    ci95: Interval | None
    n_pairs: int

    @classmethod
    def of(cls, value: Estimate, metric: str = "loss") -> Difference:
        """Return the record of an estimated difference."""
        return cls(metric, value.mean, value.ci95, value.n)


@dataclass(frozen=True)
class Score:
    """A stack's loss and metric over seeds.

    Attributes:
        loss: Cross-entropy in nats, or the squared error of the standardised target.
        accuracy: Share of right classes, in classification.
        rmse: Root mean squared error in the target's unit, in regression.
        metrics: Every metric that has a value: name → `mean`, `ci95`, `n`.
        objective: The number that is minimized; None: the loss.
    """

    loss: Estimate
    accuracy: Estimate | None = field(default=None, metadata=IF_ANY)
    rmse: Estimate | None = field(default=None, metadata=IF_ANY)
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    objective: Estimate | None = field(default=None, metadata=HIDDEN)

    @property
    def metric(self) -> Estimate:
        """The accuracy or the root mean squared error, whichever the task has."""
        return self.accuracy or self.rmse or Estimate(math.nan)

    @property
    def minimized(self) -> Estimate:
        """The objective."""
        return self.loss if self.objective is None else self.objective

    def figure(self, name: str) -> Estimate:
        """Return the loss or a metric by its name; without values if there is none."""
        beside = {"loss": self.loss, "accuracy": self.accuracy, "rmse": self.rmse}
        return beside.get(name) or self.metrics.get(name) or Estimate(math.nan)


@dataclass(frozen=True)
class Figures:
    """A loss and a metric, each one number; nan if not measured.

    Attributes:
        loss: As the stack's; null if not measured.
        accuracy: The same, in classification.
        rmse: The same, in regression.
        metrics: Every metric that has a value, by name.
    """

    loss: float = field(metadata=OR_NULL)
    accuracy: float | None = field(default=None, metadata={**IF_ANY, **OR_NULL})
    rmse: float | None = field(default=None, metadata={**IF_ANY, **OR_NULL})
    metrics: Mapping[str, float] | None = field(default=None, metadata=IF_ANY)

    @property
    def metric(self) -> float | None:
        """The accuracy or the root mean squared error, whichever the task has."""
        return self.rmse if self.accuracy is None else self.accuracy

    def figure(self, name: str) -> float | None:
        """Return the loss or a metric by its name; None if there is none."""
        beside = {"loss": self.loss, "accuracy": self.accuracy, "rmse": self.rmse}
        return {**beside, **(self.metrics or {})}.get(name)
