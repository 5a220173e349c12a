"""The pictures of what happens inside networks and of choices made at prediction."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.evidence.planted import Planted, made_up_spec
from search.evidence.recommendation import recommend
from search.records import Run
from search.report.write import write_report
from spaces.references import CHAPTER_DEFAULT
from tests.unit.evidence.test_evidence_prediction import SPARSITY, stochastic

DEEP = CHAPTER_DEFAULT.but(units=[100] * 100)


def layer(norm: float | None, deviation: float = 1.0) -> dict[str, float | None]:
    """One layer's figures."""
    figures = {"mean": 0.0, "deviation": deviation, "saturated": 0.0, "dead": 0.0}
    return {**figures, "gradient_norm": norm}


def drawn(folder: Path, layers: dict[str, Any], part: dict[str, Any] | None = None) -> dict:
    """The report's files for a deep stack with these layers."""
    spec, planted = made_up_spec(space={"axes": {}}, trials=1), Planted()
    runs = planted.confirm(spec, planted.search(spec, [DEEP]))
    runs = [replace(r, layers=layers) if r.stack == DEEP else r for r in runs]
    found = recommend(spec, runs, {"chosen": part} if part else {})
    return {p.name: p.read_text("utf-8") for p in write_report(folder, spec, found, runs)}


def heights(picture: str) -> list[list[float]]:
    """The heights of every line of a hundred points."""
    paths = [p.attrib["d"] for p in ET.fromstring(picture).iter() if p.tag.endswith("path")]
    lines = [[float(v) for v in re.findall(r",([\d.]+)", d)] for d in paths if "L" in d]
    return [line for line in lines if len(line) == 100]


def test_vanishing_gradients_of_a_hundred_layers_are_seen(tmp_path: Path) -> None:
    """A gradient that falls by a tenth a layer is a slope over the whole height, and it falls
    towards the first layer."""
    fading = [layer(10.0 ** ((k - 100) / 10)) for k in range(1, 101)]
    picture = drawn(tmp_path, {"start": fading, "end": fading})["layers.svg"]
    steepest = max(heights(picture), key=lambda line: max(line) - min(line))
    assert len(heights(picture)) == 8
    assert steepest[0] - steepest[-1] > 80.0  # the first layer stands lowest
    assert "10⁻⁸" in picture


def test_exploding_deviations_are_seen(tmp_path: Path) -> None:
    """Deviations that grow by powers of ten rise on a scale of powers of ten."""
    rising = [layer(1.0, 10.0 ** (k / 10)) for k in range(100)]
    picture = drawn(tmp_path, {"start": rising})["layers.svg"]
    steepest = max(heights(picture), key=lambda line: max(line) - min(line))
    assert steepest[-1] < steepest[0] - 80.0


def test_dead_layers_are_seen(tmp_path: Path) -> None:
    """A share of saturated or of dead units that grows to one rises over the whole height."""
    for figure in ("saturated", "dead"):
        dying = [{**layer(1.0), figure: k / 99} for k in range(100)]
        picture = drawn(tmp_path / figure, {"start": dying})["layers.svg"]
        (steepest,) = [line for line in heights(picture) if max(line) - min(line) > 80.0]
        assert steepest[-1] < steepest[0]


def test_figures_that_are_missing_are_drawn_around(tmp_path: Path) -> None:
    """Null, zero and infinite figures neither break the picture nor appear in it."""
    rows = [layer(None), layer(0.0), layer(float("inf")), layer(1.0)]
    picture = drawn(tmp_path, {"start": rows, "end": []})["layers.svg"]
    ET.fromstring(picture)
    assert not re.search(r"\b(nan|inf)\b", picture)


def test_a_diverged_trial_is_drawn_beside_the_confirmed(tmp_path: Path) -> None:
    """A search trial that diverged shows its layers at initialization."""
    spec, planted = made_up_spec(space={"axes": {}}, trials=1), Planted()
    runs: list[Run] = planted.confirm(spec, planted.search(spec, [DEEP]))
    bad = replace(runs[0], number=7, outcome="diverged", value=None)
    runs.append(replace(bad, layers={"start": [layer(1e9)] * 3}))
    paths = write_report(tmp_path, spec, recommend(spec, runs, {}), runs)
    picture = next(p for p in paths if p.name == "layers.svg").read_text("utf-8")
    assert "trial 7 (diverged)" in picture


def test_sections_appear_where_something_was_measured(tmp_path: Path) -> None:
    """Without figures there is no section; with them, table, picture and sentences."""
    plain = drawn(tmp_path / "plain", {})["report.html"]
    assert "Inside the networks" not in plain
    assert "At prediction" not in plain
    part = {**stochastic([-0.1, -0.1]), "sparsity": SPARSITY}
    files = drawn(tmp_path / "full", {"start": [layer(1.0)] * 100}, part)
    assert "Inside the networks" in files["report.html"]
    assert "without dropout" in files["report.html"]
    assert "sparsest affordable" in files["prediction.svg"]
    assert "## At prediction" in files["report.md"]
