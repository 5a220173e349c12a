"""What the pictures share: plotly figures of one size and look, and how they become HTML.

A figure has a fixed size, so that it is the same in a folded part of a page, on paper and alone.
Words that a user can choose go through `escaped`: plotly reads text as if it were HTML.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WIDTH = 720
INK, SOFT, RULE, MAIN, OTHER = "#1c2430", "#5a6675", "#dfe4ea", "#0b6bcb", "#7a4b00"
# Lines of the first stacks differ by colour and dash; the rest share the last row.
LINES = (
    *((MAIN, "solid"), (OTHER, "7px,3px"), ("#0a7f5a", "2px,3px")),
    *(("#a2287a", "9px,3px,2px,3px"), ("#6b5bd2", "4px,2px"), ("#666666", "1px,2px")),
)
ZERO = {"color": INK, "width": 1.2, "dash": "3px,3px"}
# Offered while the pointer is over a picture: zoom and back, and the picture as a file.
CONFIG = {
    "displaylogo": False,
    "responsive": False,
    "modeBarButtons": [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
}

_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif'


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


def without_strays(values: Sequence[float]) -> list[float]:
    """Leave out what lies far above the rest (it is drawn at the edge), so that the rest shows."""
    known = sorted(finite(values))
    if len(known) < 5:
        return known
    quarter, middle = known[len(known) // 4], known[len(known) // 2]
    upper = known[3 * len(known) // 4]
    limit = max(middle, upper + 2.0 * (upper - quarter))
    return [v for v in known if v <= limit]


def within(value: float, ends: tuple[float, float]) -> float:
    """Return where a value is drawn: what lies beyond an axis stands at its end."""
    return min(ends[1], max(ends[0], value))


def escaped(words: str) -> str:
    """Return words that plotly shows as they are."""
    return escape(words, quote=False)


def marks(
    x: Sequence[float], y: Sequence[float], hints: Sequence[str], **marker: Any
) -> dict[str, Any]:
    """Return a trace of points, each with words for the pointer; `marker` is plotly's."""
    told = {"hovertext": [escaped(hint) for hint in hints], "hoverinfo": "text"}
    places = {"x": list(x), "y": list(y), "mode": "markers", "cliponaxis": False}
    return {"type": "scatter", **places, **told, "marker": {"color": MAIN, "size": 8, **marker}}


def hollow(symbol: str, size: float = 8.0) -> dict[str, Any]:
    """Return the marker of what proves nothing by itself: an outline."""
    return {"symbol": f"{symbol}-open", "color": SOFT, "size": size, "line": {"width": 1.4}}


def curve(x: Sequence[float], y: Sequence[float], **line: Any) -> dict[str, Any]:
    """Return a trace of a line that the pointer passes over; `line` is plotly's."""
    look = {"color": MAIN, "width": 1.5, **line}
    return {
        **{"type": "scatter", "mode": "lines", "x": list(x), "y": list(y)},
        **{"hoverinfo": "skip", "line": look},
    }


def axis(title: str = "", ends: tuple[float, float] | None = None, **more: Any) -> dict[str, Any]:
    """Return an axis with a grid; `more` is plotly's."""
    return {
        "title": {"text": title, "font": {"size": 12, "color": SOFT}, "standoff": 8},
        "range": list(ends) if ends else None,
        **{"gridcolor": RULE, "zeroline": False, "showline": False, "nticks": 7},
        **{"tickfont": {"size": 11, "color": SOFT}, "automargin": True},
        **more,
    }


def powers(ends: tuple[float, float], title: str = "", **more: Any) -> dict[str, Any]:
    """Return a logarithmic axis; its ends are powers of ten."""
    look = {"exponentformat": "power", "tickfont": {"size": 9, "color": SOFT}}  # drawn larger
    return axis(title, ends, **{"type": "log", **look, **more})


def rows(labels: Sequence[str], **more: Any) -> dict[str, Any]:
    """Return a vertical axis of labelled rows: row k stands at k, the first on top."""
    places = list(range(len(labels)))
    ticks = {"tickvals": places, "ticktext": list(labels), "ticklabelstandoff": 6}
    return axis("", (len(labels) - 0.5, -0.5), **{"showgrid": False, **ticks, **more})


def shape(axes: tuple[str, str] = ("x", "y"), **more: Any) -> dict[str, Any]:
    """Return a straight line, or a box, between `x0, y0` and `x1, y1`."""
    line = {"type": "line", "line": ZERO, "layer": "above"}
    return {"xref": axes[0], "yref": axes[1], **line, **more}


def zero(axes: tuple[str, str] = ("x", "y domain"), at: float = 0.0) -> dict[str, Any]:
    """Return a dashed line from bottom to top."""
    return shape(axes, x0=at, x1=at, y0=0, y1=1)


def note(words: str, axes: tuple[str, str] = ("paper", "paper"), **more: Any) -> dict[str, Any]:
    """Return words in a picture."""
    font = {"size": 11, "color": SOFT, **more.pop("font", {})}
    return {
        **{"text": words, "showarrow": False, "font": font, "xref": axes[0], "yref": axes[1]},
        **{"xanchor": "left", "yanchor": "middle", **more},
    }


def panel(picture: Figure, row: int, col: int) -> tuple[str, str]:
    """Return the names of the axes of one of several panels, counted from 1."""
    axes = picture.select_xaxes(row=row, col=col), picture.select_yaxes(row=row, col=col)
    x, y = (next(iter(found)).plotly_name.replace("axis", "") for found in axes)
    return x, y


def layout(title: str, height: float, margin: dict[str, int], **more: Any) -> dict[str, Any]:
    """Return the layout of every picture; `more` is plotly's."""
    font = {"family": _FONT, "size": 12, "color": INK}
    return {
        "template": "none",
        **{"width": WIDTH, "height": height, "autosize": False, "font": font},
        **{"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"},
        "margin": {"l": 56, "r": 20, "t": 40, "b": 52, **margin},
        "title": {
            **{"text": title, "font": {"size": 13, "weight": 600}, "automargin": False},
            **{"xref": "container", "x": 0, "xanchor": "left", "yref": "container"},
            **{"y": 1, "yanchor": "top", "pad": {"t": 8, "l": 4}},
        },
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": SOFT, "font": font},
        "hovermode": "closest",
        "showlegend": False,
        "legend": {
            **{"orientation": "h", "xref": "container", "x": 0.5, "xanchor": "center"},
            **{"yref": "container", "y": 0, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
        },
        **more,
    }


def figure(
    title: str,
    traces: Sequence[dict[str, Any]],
    height: float,
    margin: dict[str, int] | None = None,
    **more: Any,
) -> Figure:
    """Return a picture.

    Args:
        title: What it shows.
        traces: What is drawn, as plotly's data.
        height: In pixels.
        margin: Where it differs from the usual, in pixels by side.
        more: Plotly's layout: axes, shapes, annotations.
    """
    from plotly.graph_objects import Figure

    return Figure(data=list(traces), layout=layout(title, height, margin or {}, **more))


def titled(picture: Figure) -> str:
    """Return a picture's title."""
    return str(picture["layout"]["title"]["text"])


def html(picture: Figure, name: str, script: bool | str = False) -> str:
    """Return a picture as HTML that fetches nothing.

    Args:
        picture: What is drawn.
        name: Its identifier in the page.
        script: False for a part of a page that holds plotly.js; True for a page that holds it
            itself; "directory" for a page beside the file plotly.min.js.
    """
    return picture.to_html(
        config=CONFIG, include_plotlyjs=script, full_html=bool(script), div_id=name
    )
