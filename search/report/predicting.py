"""The picture of choices made at prediction: Monte-Carlo dropout, and dropping small weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from search.evidence.plan import Choice
from search.evidence.prediction import affordable
from search.evidence.recommendation import Recommendation
from search.evidence.words import number
from search.records import Run
from search.report import svg

TITLE = "Choices made at prediction"
_TOP, _BOTTOM = 40.0, 210.0
# Left and right edge of a picture's one or two panels.
_PANELS = ((64.0, 340.0), (424.0, 700.0))


def prediction(
    runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Mapping[str, str]
) -> str:
    """Draw log loss over the number of passes, and loss over the share of weights kept."""
    passes, sparsity = found.measured.get("monte_carlo"), found.measured.get("sparsity")
    free = iter(_PANELS)
    body = []
    if passes:
        body.append(_passes(passes, found.measured.get("log_loss"), *next(free)))
    if sparsity:
        body.append(_sparsity(sparsity, *next(free)))
    if not body:
        return svg.empty(TITLE, "The recommended stack has neither dropout nor a sparse penalty.")
    return svg.document(720, 258, TITLE, "".join(body))


def _passes(
    rows: Sequence[Mapping[str, Any]], without: float | None, left: float, right: float
) -> str:
    low, high = svg.bounds([without, *(row["log_loss"] for row in rows)], 0.12)
    x = svg.scale(0.0, math.log(rows[-1]["passes"]) or 1.0, left, right)
    y = svg.scale(low, high, _BOTTOM, _TOP)
    parts = [svg.y_axis(y, low, high, left, right, "log loss on the test set")]
    points = [(x(math.log(row["passes"])), y(row["log_loss"])) for row in rows]
    parts.append(svg.path(points, "curve"))
    for (a, b), row in zip(points, rows, strict=True):
        count = f"{row['passes']:.0f}"
        parts.append(svg.mark(a, b, "circle", "first", 3.5, f"{count}: {number(row['log_loss'])}"))
        parts.append(svg.text(a, _BOTTOM + 16, count, "tick", "middle"))
    if without is not None:
        parts.append(svg.line(left, y(without), right, y(without), "zero"))
        parts.append(svg.text(right, y(without) - 5, "without dropout", "tick", "end"))
    title = "passes of Monte-Carlo dropout"
    parts.append(svg.text((left + right) / 2, _BOTTOM + 34, title, "axis", "middle"))
    return "".join(parts)


def _sparsity(rows: Sequence[Mapping[str, Any]], left: float, right: float) -> str:
    # Far beyond what is affordable the loss says nothing more; it is drawn at the edge.
    limit = rows[0]["loss"] * 1.25
    low, high = svg.bounds([min(row["loss"], limit) for row in rows], 0.12)
    x = svg.scale(0.0, 1.0, left, right)
    y = svg.scale(low, high, _BOTTOM, _TOP)
    parts = [svg.x_axis(x, 0.0, 1.0, _TOP, _BOTTOM, "share of the weights that are not zero")]
    parts.append(svg.y_axis(y, low, high, left, right, "validation loss"))
    parts.append(svg.path([(x(r["nonzero_fraction"]), y(r["loss"])) for r in rows], "curve"))
    for row in rows:
        at, hint = x(row["nonzero_fraction"]), f"under {row['threshold']:.2g} dropped"
        kind = "first" if row["affordable"] else "faint"
        parts.append(svg.mark(at, y(row["loss"]), "circle", kind, 3.5, hint))
    best = affordable(rows)
    at = x(best["nonzero_fraction"])
    parts.append(svg.line(at, _TOP, at, _BOTTOM, "zero"))
    side, anchor = (-6, "end") if best["nonzero_fraction"] > 0.5 else (6, "start")
    parts.append(svg.text(at + side, _TOP + 12, "sparsest affordable", "tick", anchor))
    return "".join(parts)
