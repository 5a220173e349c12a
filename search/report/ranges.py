"""The picture of a learning-rate range test: one panel an optimizer, rates on a log scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

from search.ranges import RangeTest, smoothed
from search.report import svg

_WIDTH, _PANEL = 720.0, 190.0
_LEFT, _RIGHT = 70.0, 700.0


def picture(tests: Sequence[RangeTest], data: str, style: str = "") -> str:
    """Draw range tests one below the other.

    Args:
        tests: What was found.
        data: Name of the data, for the title.
        style: CSS for a picture that stands alone.

    Returns:
        An SVG document: the loss after a few steps at each rate, the smoothed loss, and the
        suggested range as a band between two lines.
    """
    low = min((test.rates[0] for test in tests), default=1e-6)
    high = max((test.rates[-1] for test in tests), default=1.0)
    x = svg.scale(math.log10(low), math.log10(high), _LEFT, _RIGHT)
    body = [_panel(test, place * _PANEL, x, low, high) for place, test in enumerate(tests)]
    title = f"Learning-rate range test on {data}"
    return svg.document(_WIDTH, _PANEL * max(1, len(tests)) + 20, title, "".join(body), style)


def _panel(test: RangeTest, top: float, x: svg.Scale, low: float, high: float) -> str:
    first, last = top + 40.0, top + _PANEL - 30.0
    # A loss beyond twice the start's says only that it diverged.
    most = 2.0 * test.losses[0]
    shown = [min(loss, most) if math.isfinite(loss) else most for loss in test.losses]
    least, greatest = svg.bounds(shown)
    y = svg.scale(least, greatest, last, first)
    at = [x(math.log10(rate)) for rate in test.rates]
    curve = [(a, y(v)) for a, v in zip(at, smoothed(test.losses), strict=True) if v <= greatest]
    said = f"{test.optimizer}: {test.low:.2g} to {test.high:.2g}"
    parts = [
        svg.text(_LEFT, top + 22, said, "name"),
        svg.y_axis(y, least, greatest, _LEFT, _RIGHT, ""),
    ]
    for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1):
        parts.append(svg.line(x(power), first, x(power), last, "grid"))
        parts.append(svg.text(x(power), last + 16, f"1e{power}", "tick", "middle"))
    for rate in (test.low, test.high):
        parts.append(svg.line(x(math.log10(rate)), first, x(math.log10(rate)), last, "zero"))
    parts += [svg.mark(a, y(v), "circle", "faint", 2.0) for a, v in zip(at, shown, strict=True)]
    return "".join([*parts, svg.path(curve, "curve")])
