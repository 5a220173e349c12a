"""The picture of a learning-rate range test: one panel an optimizer, rates on a log scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

from search.ranges import RangeTest, smoothed
from search.report import svg

_WIDTH, _PANEL, _TOP = 720.0, 180.0, 44.0
_LEFT, _RIGHT = 70.0, 700.0


def picture(tests: Sequence[RangeTest], data: str, style: str = "") -> str:
    """Draw range tests one below the other.

    Args:
        tests: What was found.
        data: Name of the data, for the title.
        style: CSS for a picture that stands alone.

    Returns:
        An SVG document: the loss after a few steps at each rate, the smoothed loss, the range
        worth searching as a band, and the largest rate of the chapter's descent that was stable.
    """
    low = min((test.rates[0] for test in tests), default=1e-6)
    high = max((test.rates[-1] for test in tests), default=1.0)
    x = svg.scale(math.log10(low), math.log10(high), _LEFT, _RIGHT)
    body = [_panel(test, _TOP + k * _PANEL, x, low, high) for k, test in enumerate(tests)]
    title = f"Learning-rate range test on {data}"
    height = _TOP + _PANEL * max(1, len(tests)) + 24
    words = "learning rate of a few steps each, rising until the loss diverges"
    about = svg.text((_LEFT + _RIGHT) / 2, height - 14, words, "axis", "middle")
    return svg.document(_WIDTH, height, title, "".join([_key(title), *body, about]), style)


def _panel(test: RangeTest, top: float, x: svg.Scale, low: float, high: float) -> str:
    first, last = top + 34.0, top + _PANEL - 34.0
    # A loss beyond twice the start's says only that it diverged.
    most = 2.0 * test.losses[0]
    least, greatest = svg.bounds([min(v, most) for v in svg.finite(test.losses)])
    y = svg.scale(least, greatest, last, first)
    at = [x(math.log10(rate)) for rate in test.rates]
    curve = [(a, y(v)) for a, v in zip(at, smoothed(test.losses), strict=True) if v <= greatest]
    left, right = (x(math.log10(end)) for end in (test.low, test.high))
    parts = [
        svg.text(_LEFT, top + 22, f"{test.optimizer}: {test.low:.2g} to {test.high:.2g}", "name"),
        svg.box(left, first, right, last, "band"),
        svg.y_axis(y, least, greatest, _LEFT, _RIGHT, ""),
    ]
    for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1):
        parts.append(svg.line(x(power), first, x(power), last, "grid"))
        parts.append(svg.text(x(power), last + 16, svg.power(power), "tick", "middle"))
    if test.stable is not None:
        stable = x(math.log10(test.stable))
        parts.append(svg.line(stable, first, stable, last, "zero"))
    for a, rate, loss in zip(at, test.rates, test.losses, strict=True):
        lost = not math.isfinite(loss) or loss > most
        hint = f"{rate:.2g}: {'diverged' if lost else format(loss, '.3g')}"
        shape, size, place = ("cross", 3.0, first) if lost else ("circle", 2.0, y(loss))
        parts.append(svg.mark(a, place, shape, "faint", size, hint))
    return "".join([*parts, svg.path(curve, "curve")])


def _key(title: str) -> str:
    """Say what is drawn."""
    y = 36.0
    marks = {
        "loss": (24.0, svg.mark(24, y, "circle", "faint", 2.0)),
        "diverged": (86.0, svg.mark(86, y, "cross", "faint", 3.0)),
        "smoothed": (168.0, svg.path([(160, y), (176, y)], "curve")),
        "worth searching": (260.0, svg.box(252, y - 6, 268, y + 6, "band")),
        "largest rate stable from fresh weights": (
            386.0,
            svg.line(386, y - 7, 386, y + 7, "zero"),
        ),
    }
    words = [svg.text(at + 12, y + 4, said, "tick") for said, (at, _) in marks.items()]
    return "".join([svg.text(16, 18, title, "group"), *(m for _, m in marks.values()), *words])
