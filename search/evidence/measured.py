"""The record of a measurement on the test set, as read from the measurement's document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from trainstack.search.json_values import IF_ANY

Rows = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Measured:
    """A stack's cost and the calibration of its probabilities; None: not measured.

    Attributes:
        latency_ms: The exported model's time for one row, in milliseconds.
        parameters: Number of weights of the network.
        nonzero_fraction: Share of the kernels' weights that are not zero.
        log_loss: Log loss on the test set; null in regression.
        ece: Calibration error on the test set; null in regression.
        brier: Brier score on the test set; null in regression.
        monte_carlo: Test figures by number of passes, for a stack with dropout.
        monte_carlo_seeds: The same for each seed, with the figures without dropout.
        latency_ms_64: The exported model's time for 64 rows, in milliseconds.
        deployed: Size, time and test loss of TensorFlow Lite models, in profile low-latency.
        sparsity: Validation loss by share of weights kept, for a stack with L1 or FTRL.
        sparsity_test_loss: Test loss of the sparsest affordable of these.
    """

    latency_ms: float | None = None
    parameters: int | None = None
    nonzero_fraction: float | None = None
    log_loss: float | None = None
    ece: float | None = None
    brier: float | None = None
    monte_carlo: Rows | None = field(default=None, metadata=IF_ANY)
    monte_carlo_seeds: Sequence[Mapping[str, Any]] | None = field(default=None, metadata=IF_ANY)
    latency_ms_64: float | None = field(default=None, metadata=IF_ANY)
    deployed: Sequence[Mapping[str, Any]] | None = field(default=None, metadata=IF_ANY)
    sparsity: Rows | None = field(default=None, metadata=IF_ANY)
    sparsity_test_loss: float | None = field(default=None, metadata=IF_ANY)

    @classmethod
    def of(cls, part: Mapping[str, Any]) -> Measured:
        """Read `chosen` or `baseline` of a measurement; an empty one has no figures."""
        return cls(**{f.name: part[f.name] for f in fields(cls) if f.name in part})
