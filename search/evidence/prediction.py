"""Choices at prediction: the results of Monte-Carlo dropout and of dropped weights."""

from __future__ import annotations

from collections.abc import Mapping

from trainstack.search.evidence.comparisons import estimate
from trainstack.search.evidence.deciding import BY_LOSS, Deciding
from trainstack.search.evidence.estimates import Estimate
from trainstack.search.evidence.formatting import interval, number, signed
from trainstack.search.evidence.measured import Measured, Rows

# Scores of probabilities; all but the last are proper scoring rules.
FIGURES = {"log_loss": "log loss", "brier": "Brier score", "ece": "calibration error"}

# Profile → its figures and their names in sentences.
PROFILES: dict[str, dict[str, str]] = {
    "sparse": {"kept_fraction": "of the weights kept"},
    "low-latency": {"latency_ms": "ms per row alone", "latency_ms_64": "ms for 64 rows"},
    "risk-sensitive": FIGURES,
}


def monte_carlo_gain(part: Measured, figure: str, comparisons: int = 1) -> Estimate:
    """Return a figure of Monte-Carlo dropout minus that of one deterministic pass, by pairs.

    A pair is one model (one seed) that predicts the test set both ways, at the greatest number of
    passes. Below 0 favours Monte-Carlo dropout.

    Args:
        part: The measurement of a stack.
        figure: One of FIGURES.
        comparisons: Size of the family of intervals.
    """
    runs = part.monte_carlo_seeds or ()
    gaps = [run["passes"][-1][figure] - run["deterministic"][figure] for run in runs]
    return estimate(gaps, comparisons=comparisons)


def enough_passes(rows: Rows, share: float = 0.9) -> int:
    """Return the fewest passes with `share` of the gain in log loss of all passes over one."""
    first, last = rows[0]["log_loss"], rows[-1]["log_loss"]
    limit = first - share * (first - last)
    return int(next((r["passes"] for r in rows if r["log_loss"] <= limit), rows[-1]["passes"]))


def affordable(rows: Rows) -> Mapping[str, float]:
    """Return the sparsest row with an affordable loss; the first if there is none."""
    return next((row for row in reversed(rows) if row["affordable"]), rows[0])


def sentences(part: Measured) -> list[str]:
    """Return one sentence per choice at prediction; none if nothing was measured."""
    found = []
    if rows := part.monte_carlo:
        last = rows[-1]
        figures = ", ".join(
            f"{title} {number(last[name])} (without: {number(getattr(part, name))})"
            for name, title in FIGURES.items()
        )
        passes = f"{last['passes']:.0f}"
        gain = ""
        if last["log_loss"] < rows[0]["log_loss"]:
            enough = enough_passes(rows)
            gain = f"; {enough} passes give nine tenths of what {passes} win over one"
        found.append(f"Monte-Carlo dropout with {passes} passes: {figures}{gain}.")
    if rows := part.sparsity:
        row, full = affordable(rows), rows[0]
        text = (
            f"With weights under {number(row['threshold'], 2)} dropped, "
            f"{100 * row['nonzero_fraction']:.0f} % remain and the validation loss is "
            f"{number(row['loss'])} (all weights: {number(full['loss'])})"
        )
        if part.sparsity_test_loss is not None:
            text += f", on the test set {number(part.sparsity_test_loss)}"
        found.append(text + ".")
    if deployed := part.deployed:
        good = [row for row in deployed if "bytes" in row]
        each = [
            f"{r['precision']} {number(r['latency_ms'], 2)} ms, {r['bytes'] / 1000:.0f} kB, "
            f"test loss {number(r['loss'])}"
            for r in good
        ]
        each += [f"{r['precision']} not measured ({r['cause']})" for r in deployed if r not in good]
        found.append(f"As TensorFlow Lite, normalization folded: {'; '.join(each)}.")
    return found


def profile_note(
    profile: str,
    mine: Measured,
    base: Measured,
    objective: Estimate,
    deciding: Deciding = BY_LOSS,
) -> str | None:
    """Describe the gain of a profile's stack in the profile's figures, and its cost in loss.

    Args:
        profile: Name of the profile.
        mine: Measurement of the recommended stack.
        base: Measurement of the chapter's default.
        objective: Objective of the stack minus the default's, on the validation part.
        deciding: What decides the study.

    Returns:
        A sentence; None for a profile about the loss alone, or if nothing was measured.
    """
    figures = []
    for figure, title in PROFILES.get(profile, {}).items():
        own, other = _figure(mine, figure), _figure(base, figure)
        if own is not None:
            figures.append(f"{number(own)} {title} (chapter's default: {number(other)})")
    if not figures:
        return None
    gap = deciding.difference(objective)
    cost = f"; its validation {deciding.figure} is {signed(gap.mean)} against the default's"
    if gap.n == 0:
        cost = ""
    elif gap.ci95 is not None:
        cost += f" ({interval(gap.ci95, signed)})"
    return f"Profile {profile}: {', '.join(figures)}{cost}."


def _figure(part: Measured, figure: str) -> float | None:
    """Return a figure of a measurement; for probabilities, the better of dropout on and off."""
    if figure == "kept_fraction":
        rows = part.sparsity
        return affordable(rows)["nonzero_fraction"] if rows else part.nonzero_fraction
    plain, rows = getattr(part, figure), part.monte_carlo
    if figure in FIGURES and rows and plain is not None and part.log_loss is not None:
        better = rows[-1]["log_loss"] < part.log_loss
        return rows[-1][figure] if better else plain
    return plain
