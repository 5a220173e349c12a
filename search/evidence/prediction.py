"""Choices made at prediction: what Monte-Carlo dropout and dropped weights gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search.evidence.statistics import Estimate, estimate
from search.evidence.words import number

# Probabilities are judged by these: both are proper scoring rules but the last.
FIGURES = {"log_loss": "log loss", "brier": "Brier score", "ece": "calibration error"}


def monte_carlo_gain(part: Mapping[str, Any], figure: str, comparisons: int = 1) -> Estimate:
    """Return a figure of Monte-Carlo dropout minus that of one deterministic pass, by pairs.

    A pair is one model (one seed) that predicts the test set both ways, at the most passes
    measured. Below 0 speaks for Monte-Carlo dropout.

    Args:
        part: `chosen` or `baseline` of the measurement.
        figure: One of FIGURES.
        comparisons: Size of the family of intervals.
    """
    runs: Sequence[Mapping[str, Any]] = part.get("monte_carlo_seeds") or ()
    gaps = [run["passes"][-1][figure] - run["deterministic"][figure] for run in runs]
    return estimate(gaps, comparisons=comparisons)


def enough_passes(rows: Sequence[Mapping[str, float]], share: float = 0.9) -> int:
    """Return the fewest passes that have `share` of the log loss that all passes win over one."""
    first, last = rows[0]["log_loss"], rows[-1]["log_loss"]
    limit = first - share * (first - last)
    return int(next((r["passes"] for r in rows if r["log_loss"] <= limit), rows[-1]["passes"]))


def affordable(rows: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """Return the sparsest row whose loss was affordable; the first where none was."""
    return next((row for row in reversed(rows) if row["affordable"]), rows[0])


def sentences(part: Mapping[str, Any]) -> list[str]:
    """Say what choices at prediction gave, a sentence each; none where nothing was measured."""
    said = []
    if rows := part.get("monte_carlo"):
        last = rows[-1]
        figures = ", ".join(
            f"{title} {number(last[name])} (without: {number(part.get(name))})"
            for name, title in FIGURES.items()
        )
        said.append(
            f"Monte-Carlo dropout with {last['passes']:.0f} passes: {figures}; "
            f"{enough_passes(rows)} passes give nine tenths of what passes give."
        )
    if rows := part.get("sparsity"):
        row, full = affordable(rows), rows[0]
        text = (
            f"With weights under {number(row['threshold'], 2)} dropped, "
            f"{100 * row['nonzero_fraction']:.0f} % remain and the validation loss is "
            f"{number(row['loss'])} (all weights: {number(full['loss'])})"
        )
        if (test := part.get("sparsity_test_loss")) is not None:
            text += f", on the test set {number(test)}"
        said.append(text + ".")
    return said
