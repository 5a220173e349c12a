"""Small pictures as SVG text: scales, ticks, marks. Colours and fonts are classes of picture.css.

Everything written into a picture is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

Scale = Callable[[float], float]

# Shapes tell series apart where colours cannot (print, colour blindness).
SHAPES = ("circle", "square", "triangle", "diamond", "cross")


def finite(values: Iterable[float | None]) -> list[float]:
    """Return the values that can be drawn."""
    return [float(v) for v in values if v is not None and math.isfinite(v)]


def bounds(values: Iterable[float | None], pad: float = 0.06) -> tuple[float, float]:
    """Return an axis's ends for some values: a little wider than they are; 0 to 1 for none."""
    known = finite(values)
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    room = (high - low) * pad or abs(high) * pad or 1.0
    return low - room, high + room


def scale(low: float, high: float, start: float, end: float) -> Scale:
    """Return the straight map of low..high to start..end; what lies outside stops at the ends."""
    least, most = min(start, end), max(start, end)

    def place(value: float) -> float:
        at = start + (value - low) / (high - low) * (end - start)
        return min(most, max(least, at))

    return place


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round numbers of 1, 2 or 5 times a power of ten, about `count` between the ends.

    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = high - low
    if not span > 0.0 or not math.isfinite(span):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / count))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(span / s - count))
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def label(value: float) -> str:
    """Return a tick's number."""
    return f"{value:g}".replace("-", "−")


def power(exponent: int) -> str:
    """Return a power of ten as a tick's text.

    >>> power(-5), power(0), power(1)
    ('10⁻⁵', '1', '10')
    """
    digits = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return "10" + str(exponent).translate(digits) if exponent not in (0, 1) else str(10**exponent)


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Return a line of text."""
    css = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{css}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def box(left: float, top: float, right: float, bottom: float, kind: str) -> str:
    """Return a filled rectangle."""
    size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
    return f'<rect x="{left:.1f}" y="{top:.1f}" {size} class="{kind}"/>'


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Return a polyline; nothing for fewer than two points."""
    if len(points) < 2:
        return ""
    return f'<path d="M{"L".join(f"{x:.1f},{y:.1f}" for x, y in points)}" class="{kind}"/>'


def mark(x: float, y: float, shape: str, kind: str, size: float = 4.0, hint: str = "") -> str:
    """Return a mark of one of SHAPES, with a hint for the pointer."""
    s = size
    outlines = {
        "square": f"M{x - s:.1f},{y - s:.1f}h{2 * s}v{2 * s}h{-2 * s}z",
        "triangle": f"M{x:.1f},{y - 1.2 * s:.1f}l{1.2 * s:.1f},{2.1 * s:.1f}h{-2.4 * s:.1f}z",
        "diamond": f"M{x:.1f},{y - 1.3 * s:.1f}l{1.3 * s:.1f},{1.3 * s:.1f}"
        f"l{-1.3 * s:.1f},{1.3 * s:.1f}l{-1.3 * s:.1f},{-1.3 * s:.1f}z",
        "cross": f"M{x - s:.1f},{y - s:.1f}l{2 * s},{2 * s}m0,{-2 * s}l{-2 * s},{2 * s}",
    }
    title = f"<title>{escape(hint)}</title>" if hint else ""
    if shape in outlines:
        return f'<path d="{outlines[shape]}" class="mark {shape} {kind}">{title}</path>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{s}" class="mark {kind}">{title}</circle>'


def x_axis(place: Scale, low: float, high: float, top: float, bottom: float, title: str) -> str:
    """Return a horizontal axis with its grid and its title below."""
    parts = []
    for tick in ticks(low, high):
        parts.append(line(place(tick), top, place(tick), bottom, "grid"))
        parts.append(text(place(tick), bottom + 16, label(tick), "tick", "middle"))
    middle = (place(low) + place(high)) / 2
    return "".join([*parts, text(middle, bottom + 34, title, "axis", "middle")])


def y_axis(place: Scale, low: float, high: float, left: float, right: float, title: str) -> str:
    """Return a vertical axis with its grid and its title above."""
    parts = []
    for tick in ticks(low, high):
        parts.append(line(left, place(tick), right, place(tick), "grid"))
        parts.append(text(left - 8, place(tick) + 4, label(tick), "tick", "end"))
    return "".join([*parts, text(left - 40, place(high) - 10, title, "axis")])


def document(width: float, height: float, title: str, body: str, style: str = "") -> str:
    """Return a whole picture; with `style`, one that stands alone in a file."""
    css = f"<style>{style}</style>" if style else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="picture" role="img" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{css}{body}</svg>'
    )


def empty(title: str, why: str) -> str:
    """Return what stands where there is nothing to draw."""
    return document(720, 60, title, text(16, 34, why, "axis"))
