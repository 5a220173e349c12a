"""The picture of choices at prediction: Monte-Carlo dropout, and dropping small weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainstack.search.conclusion.recommendation import Recommendation
from trainstack.search.evidence.choice import Choice
from trainstack.search.evidence.formatting import number
from trainstack.search.evidence.prediction import affordable
from trainstack.search.records import Run
from trainstack.search.report.figures import (
    axis,
    bounds,
    curve,
    hollow,
    layout,
    marks,
    note,
    panel,
    shape,
    within,
    zero,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TITLE = "Choices made at prediction"


def prediction(
    runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Mapping[str, str]
) -> Figure | str:
    """Draw log loss over the number of passes, and loss over the share of weights kept."""
    from plotly.subplots import make_subplots

    passes, sparsity = found.measured.monte_carlo, found.measured.sparsity
    if not passes and not sparsity:
        return "The recommended stack has neither dropout nor a sparse penalty."
    picture = make_subplots(1, 2, horizontal_spacing=0.14)
    picture.update_layout(layout(TITLE, 290, {}))
    column = 1
    if passes:
        _passes(picture, column, passes, found.measured.log_loss)
        column += 1
    if sparsity:
        _sparsity(picture, column, sparsity)
    return picture


def _passes(
    picture: Figure, column: int, rows: Sequence[Mapping[str, Any]], without: float | None
) -> None:
    counts, losses = [row["passes"] for row in rows], [row["log_loss"] for row in rows]
    ends = bounds([without, *losses], 0.12)
    hints = [f"{n:.0f}: {number(loss)}" for n, loss in zip(counts, losses, strict=True)]
    for trace in (curve(counts, losses), marks(counts, losses, hints, size=7)):
        picture.add_trace(trace, 1, column)
    labels = [f"{n:.0f}" for n in counts]
    passes = axis("passes of Monte-Carlo dropout", type="log", tickvals=counts, ticktext=labels)
    width = math.log10(counts[-1]) or 1.0
    picture.update_xaxes({**passes, "range": [-0.06 * width, 1.06 * width]}, row=1, col=column)
    picture.update_yaxes(axis("log loss on the test set", ends), row=1, col=column)
    if without is not None:
        x, y = panel(picture, 1, column)
        picture.add_shape(shape((f"{x} domain", y), x0=0, x1=1, y0=without, y1=without))
        words = {"x": 1, "y": without, "xanchor": "right", "yanchor": "bottom"}
        picture.add_annotation(note("without dropout", (f"{x} domain", y), **words))


def _sparsity(picture: Figure, column: int, rows: Sequence[Mapping[str, Any]]) -> None:
    # Losses far above the affordable ones are drawn at the edge.
    limit = rows[0]["loss"] * 1.25
    ends = bounds([min(row["loss"], limit) for row in rows], 0.12)
    kept = [row["nonzero_fraction"] for row in rows]
    losses = [within(row["loss"], ends) for row in rows]
    picture.add_trace(curve(kept, losses), 1, column)
    for cheap, look in ((True, {"size": 7}), (False, hollow("circle", 7))):
        mine = [k for k, row in enumerate(rows) if bool(row["affordable"]) is cheap]
        hints = [f"under {rows[k]['threshold']:.2g} dropped" for k in mine]
        trace = marks([kept[k] for k in mine], [losses[k] for k in mine], hints, **look)
        picture.add_trace(trace, 1, column)
    share = axis("share of the weights that are not zero", (-0.02, 1.02), nticks=6)
    picture.update_xaxes(share, row=1, col=column)
    picture.update_yaxes(axis("validation loss", ends), row=1, col=column)
    at, (x, y) = affordable(rows)["nonzero_fraction"], panel(picture, 1, column)
    axes = x, f"{y} domain"
    picture.add_shape(zero(axes, at))
    words = {"x": at, "y": 1, "yanchor": "top", "xanchor": "right" if at > 0.5 else "left"}
    picture.add_annotation(note("sparsest affordable", axes, **words))
