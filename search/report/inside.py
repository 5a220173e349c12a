"""The picture of what happens inside: each layer's outputs and gradients, from first to last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from search.evidence.candidates import confirmed
from search.evidence.plan import Choice
from search.evidence.recommendation import Recommendation
from search.evidence.words import name, number, shape
from search.records import SEARCH, Run
from search.report import svg

# The columns: figure of a layer → its title, and whether its axis is logarithmic.
FIGURES: dict[str, tuple[str, bool]] = {
    "mean": ("mean of outputs", False),
    "deviation": ("deviation of outputs", True),
    "gradient_norm": ("gradient norm", True),
}
# When the layers were looked at → class of the line, shape of its marks.
MOMENTS = {"start": ("curve s1", "square"), "end": ("curve", "circle")}
# Smaller figures than this are drawn as this: nothing is left of a signal long before.
LEAST = 1e-12
# Search trials that diverged and are drawn below the confirmed stacks: they show how.
MOST_DIVERGED = 2

_ROW, _TOP, _HEIGHT = 150.0, 46.0, 92.0
_LEFT, _PITCH, _PANEL = 58.0, 224.0, 172.0


def layers(
    runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Mapping[str, str]
) -> str:
    """Draw mean and deviation of outputs and the gradient norm by layer, a row a stack.

    Each confirmed stack is shown by its first seed, at initialization and with the restored
    weights; a column has one scale, so that rows can be compared.
    """
    title = "Inside the networks, layer by layer: at initialization and at the end"
    table = confirmed(chosen.candidates, runs)
    rows = [(names[i], row[min(row)]) for i in names if (row := table.get(i)) and _known(row)]
    rows += [
        (f"trial {r.number} (diverged)", r)
        for r in runs
        if r.phase == SEARCH and r.outcome == "diverged" and r.layers.get("start")
    ][:MOST_DIVERGED]
    if not rows:
        return svg.empty(title, "No run has looked inside its network.")
    body = [_key()]
    for column, figure in enumerate(FIGURES):
        ends = _ends([run for _, run in rows], figure)
        for place, (label, run) in enumerate(rows):
            left, top = _LEFT + column * _PITCH, _TOP + place * _ROW
            body.append(_panel(run, figure, label if column == 0 else "", left, top, ends))
    return svg.document(720, _TOP + _ROW * len(rows), title, "".join(body))


def _known(row: Mapping[int, Run]) -> bool:
    return bool(row[min(row)].layers.get("start"))


def _panel(
    run: Run, figure: str, label: str, left: float, top: float, ends: tuple[float, float]
) -> str:
    """Draw one figure of one run."""
    title, logarithmic = FIGURES[figure]
    low, high = ends
    last = max(len(rows) for rows in run.layers.values())
    x = svg.scale(1, max(2, last), left, left + _PANEL)
    first, bottom = top + 18.0, top + 18.0 + _HEIGHT
    y = svg.scale(low, high, bottom, first)
    parts = [svg.text(left, top + 10, title, "axis")]
    if label:
        stack = f": {shape(run.stack.units)} {name(run.stack['activation'])}" if run.stack else ""
        parts = [svg.text(left - 42, top - 6, label + stack, "group"), *parts]
    for tick in svg.ticks(low, high, 4):
        if logarithmic and tick != int(tick):
            continue
        told = _power(int(tick)) if logarithmic else svg.label(tick)
        parts.append(svg.line(left, y(tick), left + _PANEL, y(tick), "grid"))
        parts.append(svg.text(left - 6, y(tick) + 4, told, "tick", "end"))
    for at in sorted({1, last}):
        parts.append(svg.text(x(at), bottom + 15, f"layer {at}", "tick", "middle"))
    for moment, (kind, mark) in MOMENTS.items():
        values = [_drawn(layer.get(figure), logarithmic) for layer in run.layers.get(moment, ())]
        points = [(x(k), y(v), v) for k, v in enumerate(values, start=1) if v is not None]
        parts.append(svg.path([(a, b) for a, b, _ in points], kind))
        if last <= 12:  # beyond, marks would hide the line
            style = "faint" if moment == "start" else "first"
            for k, (a, b, _) in enumerate(points, start=1):
                hint = f"layer {k}, {moment}: {number(run.layers[moment][k - 1].get(figure))}"
                parts.append(svg.mark(a, b, mark, style, 3.0, hint))
    return "".join(parts)


def _ends(runs: Sequence[Run], figure: str) -> tuple[float, float]:
    """Return a column's axis; a logarithmic one in powers of ten, at least one wide."""
    logarithmic = FIGURES[figure][1]
    values = [
        _drawn(layer.get(figure), logarithmic)
        for run in runs
        for rows in run.layers.values()
        for layer in rows
    ]
    known = svg.finite(values)
    if not known:
        return 0.0, 1.0
    if not logarithmic:
        return svg.bounds([*known, -0.1, 0.1])
    low, high = math.floor(min(known)), math.ceil(max(known))
    return float(low), float(max(high, low + 1))


def _drawn(value: float | None, logarithmic: bool) -> float | None:
    """Return where a figure stands on its axis; None for what cannot be drawn."""
    if value is None or not math.isfinite(value):
        return None
    return math.log10(max(value, LEAST)) if logarithmic else value


def _power(exponent: int) -> str:
    digits = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return "10" + str(exponent).translate(digits) if exponent not in (0, 1) else str(10**exponent)


def _key() -> str:
    said = {"start": "at initialization", "end": "at the end (restored weights)"}
    parts, x = [], 16.0
    for moment, (kind, mark) in MOMENTS.items():
        style = "faint" if moment == "start" else "first"
        parts += [svg.path([(x, 12), (x + 28, 12)], kind), svg.mark(x + 14, 12, mark, style, 3.0)]
        parts.append(svg.text(x + 36, 16, said[moment], "tick"))
        x += 160
    return "".join(parts)
