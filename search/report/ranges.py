"""The picture of a learning-rate range test: one panel per optimizer, rates on a log scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainstack.search.lr_range_test import RangeTest, smoothed
from trainstack.search.records import Outcome
from trainstack.search.report.figures import (
    INK,
    MAIN,
    axis,
    bounds,
    curve,
    escaped,
    finite,
    hollow,
    layout,
    marks,
    note,
    panel,
    powers,
    shape,
    zero,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_PANEL, _ROOM = 130, 50


def picture(tests: Sequence[RangeTest], data: str) -> Figure:
    """Draw range tests below one another.

    Args:
        tests: Results of the tests; at least one.
        data: Name of the data, for the title.

    Returns:
        The loss after a few steps at each rate, the smoothed loss, the range worth searching as a
        band, and the largest rate of the chapter's descent that was stable.
    """
    from plotly.subplots import make_subplots

    count, margin = len(tests), {"t": 70, "b": 86}
    inner = _PANEL * count + _ROOM * (count - 1)
    drawn = make_subplots(count, 1, shared_xaxes=True, vertical_spacing=_ROOM / inner)
    title = f"Learning-rate range test on {escaped(data)}"
    drawn.update_layout(layout(title, inner + sum(margin.values()), margin, showlegend=True))
    low, high = min(t.rates[0] for t in tests), max(t.rates[-1] for t in tests)
    ends = math.log10(low), math.log10(high)
    drawn.update_xaxes(powers(ends, dtick=1, showticklabels=True))
    words = "learning rate of a few steps each, rising until the loss diverges"
    drawn.update_xaxes(title={"text": words, "standoff": 16}, row=count)
    for row, test in enumerate(tests, start=1):
        _panel(drawn, row, test)
    return drawn


def _panel(drawn: Figure, row: int, test: RangeTest) -> None:
    # A loss above twice the initial one only shows divergence.
    most = 2.0 * test.losses[0]
    ends = bounds([min(v, most) for v in finite(test.losses)])
    drawn.update_yaxes(axis("loss", ends, nticks=5), row=row)
    points = list(zip(test.rates, test.losses, strict=True))
    kept = [(rate, loss) for rate, loss in points if loss <= most]
    gone = [rate for rate, loss in points if not loss <= most]
    pairs = zip(test.rates, smoothed(test.losses), strict=True)
    smooth = [(rate, loss) for rate, loss in pairs if loss <= ends[1]]
    hints = [f"{rate:.2g}: {loss:.3g}" for rate, loss in kept]
    lost = [f"{rate:.2g}: diverged" for rate in gone]
    traces = {
        "loss": marks(*_columns(kept), hints, **hollow("circle", 5)),
        Outcome.DIVERGED: marks(gone, [ends[1]] * len(gone), lost, **hollow("x-thin", 6)),
        "smoothed": curve(*_columns(smooth)),
    }
    for key, trace in traces.items():
        drawn.add_trace({**trace, "name": key, "showlegend": row == 1}, row, 1)
    x, y = panel(drawn, row, 1)
    axes = x, f"{y} domain"
    band = {
        "type": "rect",
        "fillcolor": MAIN,
        "opacity": 0.13,
        "layer": "below",
        "line": {"width": 0},
    }
    shapes = {"worth searching": shape(axes, x0=test.low, x1=test.high, y0=0, y1=1, **band)}
    if test.stable is not None:
        shapes["largest stable rate"] = zero(axes, test.stable)
    for key, drawable in shapes.items():
        new = not any(drawn.select_shapes({"name": key}))
        drawn.add_shape({**drawable, "name": key, "showlegend": new})
    name = f"<b>{test.optimizer}</b>: {test.low:.2g} to {test.high:.2g}"
    above = {"x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 12, "color": INK}}
    drawn.add_annotation(note(name, (f"{x} domain", f"{y} domain"), **above))


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
