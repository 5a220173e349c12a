"""The dashboard's own plots of a study: pure functions of its runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainstack.search.evidence.deciding import heading
from trainstack.search.records import CONFIRMATION, SEARCH, Run
from trainstack.spaces.references import CHAPTER_DEFAULT

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Limits that keep the plots readable and cheap to store.
MOST_CURVES, MOST_POINTS, MOST_STACKS = 10, 400, 8
# Axes whose arms are compared side by side.
COMPARED = ("activation", "optimizer", "normalization", "schedule", "dropout")
# How the labels of such confirmation runs begin.
ABLATION = "ablation:"


def best_over_time(runs: Sequence[Run], what: str) -> Figure:
    """Plot the objective of each completed trial, and the best so far as steps."""
    done = _thinned(_completed(runs, SEARCH))
    values = [_value(run) for run in done]
    numbers = [run.number for run in done]
    best = list(itertools.accumulate(values, min))
    traces = [
        _points("trials", numbers, values, "markers"),
        {**_points("best so far", numbers, best, "lines"), "line": {"shape": "hv"}},
    ]
    return _figure(f"Best {what} over time", traces if done else [], "trial", what)


def learning_curves(runs: Sequence[Run], what: str) -> Figure:
    """Plot the objective per epoch of the best trials and of the chapter's default."""
    done = sorted(_completed(runs, SEARCH), key=_value)
    shown = done[:MOST_CURVES]
    shown += [run for run in done if _is_default(run) and run not in shown][:1]
    traces = []
    for run in shown:
        named = "chapter's default" if _is_default(run) else f"trial {run.number}"
        epochs = list(range(1, len(run.curve) + 1))
        traces.append(_points(named, epochs, [_finite(v) for v in run.curve], "lines"))
    return _figure("Learning curves of the best trials", traces, "epoch", what)


def by_arm(runs: Sequence[Run], what: str) -> Figure:
    """Plot objectives of completed trials by their arm on each axis."""
    done = _thinned(_completed(runs, SEARCH))
    traces = []
    for axis in COMPARED:
        arms = [str(run.stack[axis]) for run in done if run.stack]
        if len(set(arms)) > 1:
            values = [_value(run) for run in done if run.stack]
            box = {"type": "box", "name": axis, "x": [[axis] * len(arms), arms], "y": values}
            traces.append({**box, "boxpoints": "all", "pointpos": 0})
    return _figure(f"{heading(what)} by arm", traces, "", what)


def confirmation(runs: Sequence[Run], what: str) -> Figure:
    """Plot objectives with fresh seeds, the same for every candidate, best mean first."""
    numbers = {run.stack_id: run.number for run in reversed(_completed(runs, SEARCH))}
    by_stack: dict[str, list[Run]] = {}
    for run in _completed(runs, CONFIRMATION):
        # Ablation runs are not candidates.
        if not (run.label or "").startswith(ABLATION):
            by_stack.setdefault(run.stack_id or "", []).append(run)
    groups = sorted(by_stack.values(), key=lambda group: sum(map(_value, group)) / len(group))
    groups = groups[:MOST_STACKS] + [g for g in groups[MOST_STACKS:] if _is_default(g[0])]
    traces = [
        {
            "type": "box",
            "name": _named(group[0], numbers),
            "y": [_value(run) for run in group],
            "boxpoints": "all",
        }
        for group in groups
    ]
    return _figure("Confirmation with fresh seeds", traces, "", what)


# Identifier of each plot in the dashboard → function that draws it, given runs and the name of the
# objective.
PLOTS: dict[str, Callable[[Sequence[Run], str], Any]] = {
    "best-over-time": best_over_time,
    "learning-curves": learning_curves,
    "loss-by-arm": by_arm,
    "confirmation": confirmation,
}


def _completed(runs: Sequence[Run], phase: str) -> list[Run]:
    mine = (run for run in runs if run.phase == phase and run.finished)
    return [run for run in mine if math.isfinite(_value(run))]


def _thinned(runs: list[Run]) -> list[Run]:
    """Thin out a long search to about MOST_POINTS runs, the best one included."""
    step = -(-len(runs) // MOST_POINTS)
    if step <= 1:
        return runs
    best = min(runs, key=_value)
    return [run for place, run in enumerate(runs) if place % step == 0 or run is best]


def _value(run: Run) -> float:
    return math.nan if run.value is None else run.value


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _is_default(run: Run) -> bool:
    return run.stack == CHAPTER_DEFAULT


def _named(run: Run, numbers: Mapping[str | None, int]) -> str:
    if _is_default(run):
        return "chapter's default"
    number = numbers.get(run.stack_id)
    return run.label or (f"trial {number}" if number is not None else f"stack {run.stack_id}")


def _points(name: str, x: Sequence[Any], y: Sequence[Any], mode: str) -> dict[str, Any]:
    return {"type": "scatter", "name": name, "mode": mode, "x": list(x), "y": list(y)}


def _figure(title: str, traces: list[dict[str, Any]], x: str, what: str) -> Figure:
    from plotly.graph_objects import Figure

    layout = {
        "title": {"text": title},
        "xaxis": {"title": {"text": x}, "zeroline": False},
        "yaxis": {"title": {"text": f"validation {what}"}},
        # The default template is ten times as large as the figure itself.
        "template": "none",
        "showlegend": len(traces) > 1 and traces[0]["type"] == "scatter",
    }
    return Figure(data=traces, layout=layout)
