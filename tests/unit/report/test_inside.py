"""The pictures of layer statistics and of choices made at prediction."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.measurements import SPARSITY, layer, stochastic
from tests.support.planted_study import Planted, made_up_spec
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.records import Run
from trainstack.search.report.inside import COLUMNS, picture
from trainstack.search.report.write import write_report
from trainstack.spaces.references import CHAPTER_DEFAULT

DEEP = CHAPTER_DEFAULT.but(units=[100] * 100)


def report(folder: Path, layers: dict[str, Any], part: dict[str, Any] | None = None) -> dict:
    """The report's files for a deep stack with these layers."""
    spec, planted = made_up_spec(space={"axes": {}}, trials=1), Planted()
    runs = planted.confirm(spec, planted.search(spec, [DEEP]))
    runs = [replace(r, layers=layers) if r.stack == DEEP else r for r in runs]
    found = recommend(spec, runs, {"chosen": part} if part else {})
    return {p.name: p.read_text("utf-8") for p in write_report(folder, spec, found, runs)}


def column_of(trace: Any) -> str:
    """The column of a trace in a picture of one network."""
    return list(COLUMNS)[int(trace.yaxis[1:] or 1) - 1]


def heights(layers: dict[str, Any], column: str) -> list[list[float]]:
    """Positions of the lines of a network's column, as shares of the axis's height."""
    drawn = picture([("A", layers)])
    (y,) = {trace.yaxis for trace in drawn.data if column_of(trace) == column}
    row = drawn.select_traces({"yaxis": y})
    up = drawn.layout[y.replace("y", "yaxis")]
    low, high = up.range
    place = math.log10 if up.type == "log" else float
    return [[(place(y) - low) / (high - low) for y in trace.y] for trace in row]


def test_vanishing_gradients_of_a_hundred_layers_are_seen() -> None:
    """A gradient that falls by a tenth per layer is a slope over the whole height, falling towards
    the first layer."""
    fading = [layer(10.0 ** ((k - 100) / 10)) for k in range(1, 101)]
    for line in heights({"start": fading, "end": fading}, "gradient_norm"):
        assert len(line) == 100
        assert line[-1] - line[0] > 0.9


def test_exploding_deviations_are_seen() -> None:
    """Deviations that grow by powers of ten rise over the whole height, up to its limit."""
    rising = [layer(1.0, 10.0 ** (k / 10)) for k in range(100)]
    (line,) = heights({"start": rising}, "deviation")
    assert line[-1] - line[0] > 0.9
    assert max(line) == line[-1] == line[-40]


def test_dead_layers_are_seen() -> None:
    """A share of saturated or dead units that grows to one rises over the whole height."""
    for figure in ("saturated", "dead"):
        dying = [{**layer(1.0), figure: k / 99} for k in range(100)]
        (line,) = heights({"start": dying}, "idle")
        assert line[-1] - line[0] > 0.9


def test_figures_that_are_missing_are_drawn_around() -> None:
    """Null and infinite figures are not drawn; zero is at the end of a logarithmic axis."""
    rows = [layer(None), layer(0.0), layer(float("inf")), layer(1.0)]
    drawn = picture([("A", {"start": rows, "end": []})])
    (norms,) = (trace for trace in drawn.data if column_of(trace) == "gradient_norm")
    assert list(norms.x) == [2, 4]
    assert all(math.isfinite(y) for trace in drawn.data for y in trace.y)


def test_start_and_end_differ_by_more_than_colour() -> None:
    """The two moments differ in dash and marker, and have a legend."""
    start, end = picture([("A", {"start": [layer(1.0)] * 2, "end": [layer(2.0)] * 2})]).data[:2]
    assert start.line.dash != end.line.dash
    assert start.marker.symbol != end.marker.symbol
    assert [start.showlegend, end.showlegend] == [True, True]


def test_a_diverged_trial_is_drawn_beside_the_confirmed(tmp_path: Path) -> None:
    """A diverged search trial shows its layers at initialization."""
    spec, planted = made_up_spec(space={"axes": {}}, trials=1), Planted()
    runs: list[Run] = planted.confirm(spec, planted.search(spec, [DEEP]))
    bad = replace(runs[0], number=7, outcome="diverged", value=None)
    runs.append(replace(bad, layers={"start": [layer(1e9)] * 3}))
    paths = write_report(tmp_path, spec, recommend(spec, runs, {}), runs)
    page = next(p for p in paths if p.name == "layers.html").read_text("utf-8")
    assert "trial 7 (diverged)" in page


def test_sections_appear_where_something_was_measured(tmp_path: Path) -> None:
    """Without figures there is no section; with figures it has table, picture and sentences."""
    plain = report(tmp_path / "plain", {})["report.html"]
    assert "Inside the networks" not in plain
    assert "At prediction" not in plain
    part = {**stochastic([-0.1, -0.1]), "sparsity": SPARSITY}
    files = report(tmp_path / "full", {"start": [layer(1.0)] * 100}, part)
    assert "Inside the networks" in files["report.html"]
    assert "without dropout" in files["report.html"]
    assert "sparsest affordable" in files["prediction.html"]
    assert "## At prediction" in files["report.md"]
    assert re.search(r"\]\(prediction\.html\)", files["report.md"])
