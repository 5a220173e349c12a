"""Shared parts of the pictures: plotly figures of one size and style, and their HTML.

A figure has a fixed size, so that it looks the same in a folded part of a page, on paper and alone.
User-defined text must pass through `escaped`, because plotly interprets text as HTML.
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
# Colours and dashes of the lines of the first stacks; the rest share the last row.
LINES = (
    *((MAIN, "solid"), (OTHER, "7px,3px"), ("#0a7f5a", "2px,3px")),
    *(("#a2287a", "9px,3px,2px,3px"), ("#6b5bd2", "4px,2px"), ("#666666", "1px,2px")),
)
ZERO = {"color": INK, "width": 1.2, "dash": "3px,3px"}
# Toolbar shown on hover: zoom, reset, and download.
CONFIG = {
    "displaylogo": False,
    "responsive": False,
    "modeBarButtons": [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
}

_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif'


def finite(values: Iterable[float | None]) -> list[float]:
    """Return the finite values."""
    return [float(v) for v in values if v is not None and math.isfinite(v)]


def bounds(values: Iterable[float | None], pad: float = 0.06) -> tuple[float, float]:
    """Return an axis range slightly wider than the values; 0 to 1 if there are none."""
    known = finite(values)
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    room = (high - low) * pad or abs(high) * pad or 1.0
    return low - room, high + room


def without_strays(values: Sequence[float]) -> list[float]:
    """Return the values without outliers far above the rest, which are drawn at the edge."""
    known = sorted(finite(values))
    if len(known) < 5:
        return known
    quarter, middle = known[len(known) // 4], known[len(known) // 2]
    upper = known[3 * len(known) // 4]
    limit = max(middle, upper + 2.0 * (upper - quarter))
    return [v for v in known if v <= limit]


def within(value: float, ends: tuple[float, float]) -> float:
    """Clip a value to the ends of an axis."""
    return min(ends[1], max(ends[0], value))


def escaped(words: str) -> str:
    """Escape text so that plotly shows it literally."""
    return escape(words, quote=False)


def marks(
    x: Sequence[float], y: Sequence[float], hints: Sequence[str], **marker: Any
) -> dict[str, Any]:
    """Return a trace of points with hover texts; `marker` is plotly's."""
    hover = {"hovertext": [escaped(hint) for hint in hints], "hoverinfo": "text"}
    places = {"x": list(x), "y": list(y), "mode": "markers", "cliponaxis": False}
    return {"type": "scatter", **places, **hover, "marker": {"color": MAIN, "size": 8, **marker}}


def hollow(symbol: str, size: float = 8.0) -> dict[str, Any]:
    """Return an outlined marker, used for observational results."""
    return {"symbol": f"{symbol}-open", "color": SOFT, "size": size, "line": {"width": 1.4}}


def curve(x: Sequence[float], y: Sequence[float], **line: Any) -> dict[str, Any]:
    """Return a trace of a line without hover text; `line` is plotly's."""
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
    """Return a vertical axis of labelled rows: row k lies at k, the first at the top."""
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
    """Return an annotation."""
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
        "margin": {"l": 56, "r": 30, "t": 40, "b": 52, **margin},
        "title": {
            **{"text": title, "font": {"size": 13, "weight": 600}, "automargin": False},
            **{"xref": "container", "x": 0, "xanchor": "left", "yref": "container"},
            **{"y": 1, "yanchor": "top", "pad": {"t": 8, "l": 4}},
        },
        # At the right edge: in a row it would cover the end of a long title.
        "modebar": {
            **{"orientation": "v", "bgcolor": "rgba(0,0,0,0)"},
            **{"color": SOFT, "activecolor": INK},
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
        title: Title of the picture.
        traces: Plotly's data.
        height: In pixels.
        margin: Margins that differ from the default, in pixels by side.
        more: Plotly's layout: axes, shapes, annotations.
    """
    from plotly.graph_objects import Figure

    return Figure(data=list(traces), layout=layout(title, height, margin or {}, **more))


def titled(picture: Figure) -> str:
    """Return a picture's title."""
    return str(picture["layout"]["title"]["text"])


def html(picture: Figure, name: str, script: bool | str = False) -> str:
    """Return a picture as HTML that loads nothing from the network.

    Args:
        picture: The figure.
        name: Its identifier in the page.
        script: False for a part of a page that holds plotly.js; True for a page that includes it;
            "directory" for a page in the folder of the file plotly.min.js.
    """
    return picture.to_html(
        config=CONFIG, include_plotlyjs=script, full_html=bool(script), div_id=name
    )
