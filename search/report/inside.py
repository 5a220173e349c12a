"""The picture of each layer's outputs and gradients, from first to last layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainstack.search.conclusion.recommendation import Recommendation
from trainstack.search.evidence import formatting
from trainstack.search.evidence.choice import Choice
from trainstack.search.records import SEARCH, Outcome, Run
from trainstack.search.report.figures import (
    INK,
    LINES,
    axis,
    bounds,
    curve,
    escaped,
    finite,
    hollow,
    marks,
    note,
    powers,
    shape,
    within,
)
from trainstack.search.report.figures import figure as drawing

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Moment of measurement → figures of the hidden layers, first to last.
Layers = Mapping[str, Sequence[Mapping[str, float | None]]]


@dataclass(frozen=True)
class Column:
    """A column of the picture.

    Attributes:
        title: Title of the column.
        logarithmic: True if its axis is in powers of ten.
        farthest: Limits of its axis (in powers of ten if logarithmic), since one network that
            explodes would flatten all others. Values outside are drawn at the limit.
        kept: Value at which a self-normalizing network stays.
    """

    title: str
    logarithmic: bool
    farthest: tuple[float, float]
    kept: float | None = None


# Idle: the larger of the shares `saturated` and `dead`.
COLUMNS: dict[str, Column] = {
    "mean": Column("mean of outputs", False, (-2.0, 2.0), 0.0),
    "deviation": Column("deviation of outputs", True, (-2.0, 2.0), 1.0),
    "idle": Column("saturated or dead", False, (0.0, 1.0)),
    "gradient_norm": Column("gradient norm", True, (-12.0, 6.0)),
}
# Least half-width of the axis of means: smaller deviations are noise.
LEAST_MEAN = 0.5
# Moment of measurement → its description, colour and dash of the line, and its markers.
MOMENTS: dict[str, tuple[str, tuple[str, str], dict[str, Any]]] = {
    "start": ("at initialization", LINES[1], hollow("square", 6)),
    "end": ("at the end (restored weights)", LINES[0], {"size": 6}),
}
TITLE = "Inside the networks, layer by layer"
# Most diverged search trials that are drawn below the confirmed stacks.
MOST_DIVERGED = 2
# With more layers, markers would hide the lines.
MOST_MARKED = 12

_PANEL, _ROOM = 84, 62
# Between two columns, as a share of the width.
_GAP = 0.085
_MARGIN = {"l": 48, "r": 24, "t": 80, "b": 66}


def layers(
    runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Mapping[str, str]
) -> Figure | str:
    """Draw the figures of each layer, one row per stack and one column per figure.

    Each confirmed stack is represented by its first seed, at initialization and with the restored
    weights; a column has one scale, so that rows can be compared.
    """
    table = chosen.table(runs)
    shown = [(names[i], row[min(row)]) for i in names if (row := table.get(i))]
    shown += [
        (f"trial {r.number} (diverged)", r)
        for r in runs
        if r.phase == SEARCH and r.outcome == Outcome.DIVERGED and r.layers.get("start")
    ][:MOST_DIVERGED]
    network = found.deciding.network
    rows = [(_label(n, run, network), run.layers) for n, run in shown if run.layers.get("start")]
    return picture(rows) if rows else "No run has layer statistics."


def picture(rows: Sequence[tuple[str, Layers]]) -> Figure:
    """Draw the figures of some networks' layers, one row per network.

    Args:
        rows: Label of a network, and its layers at the MOMENTS of measurement; at least one
            network.
    """
    height = _PANEL * len(rows) + _ROOM * (len(rows) - 1)
    traces, axes, shapes, notes = [], {}, [], []
    for col, figure in enumerate(COLUMNS):
        ends = _ends([moments for _, moments in rows], figure)
        for row, (label, moments) in enumerate(rows):
            which = str(row * len(COLUMNS) + col + 1) if row or col else ""
            x, y = f"x{which}", f"y{which}"
            top = height - row * (_PANEL + _ROOM)
            across, up = _axes(moments, figure, ends)
            axes |= {
                f"xaxis{which}": {**across, "anchor": y, "domain": _share(col, len(COLUMNS))},
                f"yaxis{which}": {
                    **up,
                    "anchor": x,
                    "domain": [(top - _PANEL) / height, top / height],
                },
            }
            traces += [{**t, "xaxis": x, "yaxis": y} for t in _traces(moments, figure, ends)]
            shapes += _kept(COLUMNS[figure], ends, (f"{x} domain", y))
            above = {"axes": (f"{x} domain", f"{y} domain"), "x": 0, "y": 1}
            notes.append(note(COLUMNS[figure].title, yshift=10, **above))
            if col == 0:
                bold = {"xshift": -40, "yshift": 28, "font": {"size": 12, "color": INK}}
                notes.append(note(f"<b>{escaped(label)}</b>", **above, **bold))
    for name in {trace["name"] for trace in traces}:  # the legend has one entry per moment
        next(trace for trace in traces if trace["name"] == name)["showlegend"] = True
    height += _MARGIN["t"] + _MARGIN["b"]
    more = {**axes, "shapes": shapes, "annotations": notes, "showlegend": True}
    return drawing(TITLE, traces, height, _MARGIN, **more)


def _share(col: int, count: int) -> list[float]:
    """Return the part of the width that a column takes."""
    width = (1 + _GAP) / count
    return [col * width, (col + 1) * width - _GAP]


def _label(letter: str, run: Run, network: str) -> str:
    if run.stack is None:
        return letter
    layers, activation = formatting.layers(run.stack, network), run.stack["activation"]
    return f"{letter}: {layers} {formatting.name(activation)}"


def _traces(moments: Layers, figure: str, ends: tuple[float, float]) -> list[dict[str, Any]]:
    """Return one figure of one network as lines, one per moment."""
    column, traces = COLUMNS[figure], []
    for moment, (description, (color, dash), look) in MOMENTS.items():
        values = [_of(layer, figure) for layer in moments.get(moment, ())]
        known = [(k, v) for k, v in enumerate(values, start=1) if _placed(v, column) is not None]
        x, y = [k for k, _ in known], [_drawn(v, column, ends) for _, v in known]
        hints = [f"layer {k}, {moment}: {formatting.number(v)}" for k, v in known]
        line = curve(x, y, color=color, dash=dash)
        if _last(moments) <= MOST_MARKED:
            line = {**line, **marks(x, y, hints, **look), "mode": "lines+markers"}
        named = {"name": description, "legendgroup": moment, "showlegend": False}
        traces += [{**line, **named}] if x else []
    return traces


def _axes(
    moments: Layers, figure: str, ends: tuple[float, float]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return both axes of a panel."""
    last = _last(moments)
    ticks = {"tickvals": [1, last], "ticktext": ["layer 1", f"layer {last}"], "showgrid": False}
    across = axis("", _wider((1, max(2, last))), ticklabelstandoff=4, **ticks)
    step = max(1, round((ends[1] - ends[0]) / 3))
    if COLUMNS[figure].logarithmic:
        return across, powers(_wider(ends), dtick=step)
    return across, axis("", _wider(ends), nticks=5)


def _kept(column: Column, ends: tuple[float, float], axes: tuple[str, str]) -> list[dict[str, Any]]:
    """Return the line where a self-normalizing network stays, if the axis reaches it."""
    at = _placed(column.kept, column)
    if at is None or not ends[0] <= at <= ends[1]:
        return []
    return [shape(axes, x0=0, x1=1, y0=column.kept, y1=column.kept)]


def _last(moments: Layers) -> int:
    return max(len(rows) for rows in moments.values())


def _ends(networks: Sequence[Layers], figure: str) -> tuple[float, float]:
    """Return a column's axis; a logarithmic one spans at least one power of ten."""
    column = COLUMNS[figure]
    least, most = column.farthest
    known = finite(
        _placed(_of(layer, figure), column)
        for moments in networks
        for rows in moments.values()
        for layer in rows
    )
    if not known or figure == "idle":
        return 0.0, 1.0
    if not column.logarithmic:
        low, high = bounds([*known, -LEAST_MEAN, LEAST_MEAN])
        return max(low, least), min(high, most)
    low, high = max(math.floor(min(known)), least), min(math.ceil(max(known)), most)
    return float(min(low, most - 1)), float(max(high, low + 1))


def _wider(ends: tuple[float, float]) -> tuple[float, float]:
    """Return a slightly wider axis, so that markers at its ends are not cut."""
    room = 0.04 * (ends[1] - ends[0])
    return ends[0] - room, ends[1] + room


def _of(layer: Mapping[str, float | None], figure: str) -> float | None:
    """Return a layer's figure; None if it was not measured."""
    if figure != "idle":
        return layer.get(figure)
    return max(finite([layer.get("saturated"), layer.get("dead")]), default=None)


def _placed(value: float | None, column: Column) -> float | None:
    """Return the position of a figure on its axis; None if it cannot be drawn."""
    if value is None or not math.isfinite(value):
        return None
    return math.log10(max(value, 1e-300)) if column.logarithmic else value


def _drawn(value: float | None, column: Column, ends: tuple[float, float]) -> float:
    """Return the value at which a figure is drawn, clipped to the axis."""
    place = within(_placed(value, column) or 0.0, ends)
    return 10.0**place if column.logarithmic else place
