"""The picture of what happens inside: each layer's outputs and gradients, from first to last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.evidence.candidates import confirmed
from search.evidence.plan import Choice
from search.evidence.recommendation import Recommendation
from search.evidence.words import name, number, shape
from search.records import SEARCH, Run
from search.report import svg

# When a network was looked at → figures of its hidden layers, first to last.
Layers = Mapping[str, Sequence[Mapping[str, float | None]]]


@dataclass(frozen=True)
class Figure:
    """A column of the picture.

    Attributes:
        title: What it shows.
        logarithmic: True where its axis is in powers of ten.
        farthest: Ends that its axis never goes beyond (in powers of ten where logarithmic), since
            one network that explodes would flatten all others. What lies outside stands at an end.
        kept: Where on its axis a self-normalizing network stays.
    """

    title: str
    logarithmic: bool
    farthest: tuple[float, float]
    kept: float | None = None


# Idle: the larger of the shares `saturated` and `dead`.
FIGURES: dict[str, Figure] = {
    "mean": Figure("mean of outputs", False, (-2.0, 2.0), 0.0),
    "deviation": Figure("deviation of outputs", True, (-2.0, 2.0), 0.0),
    "idle": Figure("saturated or dead", False, (0.0, 1.0)),
    "gradient_norm": Figure("gradient norm", True, (-12.0, 6.0)),
}
# Means are drawn on an axis at least this wide to both sides: less is noise.
LEAST_MEAN = 0.5
# When the layers were looked at → class of the line, shape of its marks.
MOMENTS = {"start": ("curve s1", "square"), "end": ("curve", "circle")}
# Search trials that diverged and are drawn below the confirmed stacks: they show how.
MOST_DIVERGED = 2

_ROW, _TOP, _HEIGHT = 150.0, 46.0, 92.0
_LEFT, _PITCH, _PANEL = 56.0, 170.0, 122.0


def layers(
    runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Mapping[str, str]
) -> str:
    """Draw what happens in each layer, a row a stack and a column a figure.

    Each confirmed stack is shown by its first seed, at initialization and with the restored
    weights; a column has one scale, so that rows can be compared.
    """
    table = confirmed(chosen.candidates, runs)
    shown = [(names[i], row[min(row)]) for i in names if (row := table.get(i))]
    shown += [
        (f"trial {r.number} (diverged)", r)
        for r in runs
        if r.phase == SEARCH and r.outcome == "diverged" and r.layers.get("start")
    ][:MOST_DIVERGED]
    return picture([(_label(n, run), run.layers) for n, run in shown if run.layers.get("start")])


def picture(rows: Sequence[tuple[str, Layers]], style: str = "") -> str:
    """Draw the figures of some networks' layers, a row a network.

    Args:
        rows: Label of a network, and its layers at the MOMENTS at which they were looked at.
        style: CSS for a picture that stands alone.
    """
    title = "Inside the networks, layer by layer: at initialization and at the end"
    if not rows:
        return svg.empty(title, "No run has looked inside its network.")
    body = [_key({moment for _, moments in rows for moment in moments})]
    for column, figure in enumerate(FIGURES):
        ends = _ends([moments for _, moments in rows], figure)
        for place, (label, moments) in enumerate(rows):
            left, top = _LEFT + column * _PITCH, _TOP + place * _ROW
            body.append(_panel(moments, figure, label if column == 0 else "", left, top, ends))
    return svg.document(720, _TOP + _ROW * len(rows), title, "".join(body), style)


def _label(letter: str, run: Run) -> str:
    if run.stack is None:
        return letter
    return f"{letter}: {shape(run.stack.units)} {name(run.stack['activation'])}"


def _panel(
    moments: Layers, figure: str, label: str, left: float, top: float, ends: tuple[float, float]
) -> str:
    """Draw one figure of one network."""
    column, (low, high) = FIGURES[figure], ends
    logarithmic, kept = column.logarithmic, column.kept
    last = max(len(rows) for rows in moments.values())
    x = svg.scale(1, max(2, last), left, left + _PANEL)
    first, bottom = top + 18.0, top + 18.0 + _HEIGHT
    y = svg.scale(low, high, bottom, first)
    parts = [svg.text(left, top + 10, column.title, "axis")]
    if label:
        parts = [svg.text(left - 42, top - 6, label, "group"), *parts]
    for tick in svg.ticks(low, high, 4):
        if logarithmic and tick != int(tick):
            continue
        told = svg.power(int(tick)) if logarithmic else svg.label(tick)
        parts.append(svg.line(left, y(tick), left + _PANEL, y(tick), "grid"))
        parts.append(svg.text(left - 6, y(tick) + 4, told, "tick", "end"))
    if kept is not None and low <= kept <= high:
        parts.append(svg.line(left, y(kept), left + _PANEL, y(kept), "zero"))
    for at, anchor in {1: "start", last: "end"}.items():
        parts.append(svg.text(x(at), bottom + 15, f"layer {at}", "tick", anchor))
    for moment, (kind, mark) in MOMENTS.items():
        values = [_drawn(_of(layer, figure), logarithmic) for layer in moments.get(moment, ())]
        points = [(x(k), y(v), v) for k, v in enumerate(values, start=1) if v is not None]
        parts.append(svg.path([(a, b) for a, b, _ in points], kind))
        if last <= 12:  # beyond, marks would hide the line
            style = "faint" if moment == "start" else "first"
            for k, (a, b, _) in enumerate(points, start=1):
                hint = f"layer {k}, {moment}: {number(_of(moments[moment][k - 1], figure))}"
                parts.append(svg.mark(a, b, mark, style, 3.0, hint))
    return "".join(parts)


def _ends(networks: Sequence[Layers], figure: str) -> tuple[float, float]:
    """Return a column's axis; a logarithmic one in powers of ten, at least one wide."""
    column = FIGURES[figure]
    least, most = column.farthest
    known = svg.finite(
        _drawn(_of(layer, figure), column.logarithmic)
        for moments in networks
        for rows in moments.values()
        for layer in rows
    )
    if not known or figure == "idle":
        return 0.0, 1.0
    if not column.logarithmic:
        low, high = svg.bounds([*known, -LEAST_MEAN, LEAST_MEAN])
        return max(low, least), min(high, most)
    low, high = max(math.floor(min(known)), least), min(math.ceil(max(known)), most)
    return float(min(low, most - 1)), float(max(high, low + 1))


def _of(layer: Mapping[str, float | None], figure: str) -> float | None:
    """Return a layer's figure; None where it was not measured."""
    if figure != "idle":
        return layer.get(figure)
    return max(svg.finite([layer.get("saturated"), layer.get("dead")]), default=None)


def _drawn(value: float | None, logarithmic: bool) -> float | None:
    """Return where a figure stands on its axis; None for what cannot be drawn."""
    if value is None or not math.isfinite(value):
        return None
    return math.log10(max(value, 1e-300)) if logarithmic else value


def _key(shown: set[str]) -> str:
    said = {"start": "at initialization", "end": "at the end (restored weights)"}
    parts, x = [], 16.0
    for moment, (kind, mark) in MOMENTS.items():
        if moment not in shown:
            continue
        style = "faint" if moment == "start" else "first"
        parts += [svg.path([(x, 12), (x + 28, 12)], kind), svg.mark(x + 14, 12, mark, style, 3.0)]
        parts.append(svg.text(x + 36, 16, said[moment], "tick"))
        x += 160
    return "".join(parts)
