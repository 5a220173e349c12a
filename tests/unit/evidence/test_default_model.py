"""Which model is exported by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.planted_study import finished_study
from tests.support.studies import spec_of
from trainstack.search.conclusion.models import default_line, models_of, table
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.conclusion.text import text_of
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.default_model import default_model
from trainstack.search.json_values import json_safe
from trainstack.search.report.write import write_report


def model(loss: float, latency: float = 1.0, **more: Any) -> dict[str, Any]:
    """A model's document."""
    found = {"test": {"loss": [loss], "accuracy": [0.5]}, "latency_ms": latency, "parameters": 10}
    return {**found, "rows": 9, "members": [{"stack_id": "a", "seed": 1, "weight": 2}], **more}


ALL = {
    "single": model(0.1),
    "refit": model(0.2),
    "average": model(0.3, latency=3.0),
    "ensemble": model(0.4, latency=5.0),
}


def with_networks(average: int, ensemble: int) -> dict[str, dict[str, Any]]:
    """All models, with numbers of networks."""
    row = {"stack_id": "a", "seed": 1, "weight": 2}
    counts = {"average": average, "ensemble": ensemble}
    return ALL | {kind: {**ALL[kind], "members": [row] * count} for kind, count in counts.items()}


@pytest.mark.parametrize(
    ("networks", "expected", "why"),
    [(4, "average", "several seeds"), (5, "ensemble", "several stacks")],
)
def test_the_ensemble_is_taken_unless_it_is_small(networks: int, expected: str, why: str) -> None:
    """It needs as many networks as the average; test figures, here the worst, do not decide."""
    kind, reason = default_model(spec_of(), with_networks(5, networks))
    assert kind == expected
    assert why in reason


def test_a_figure_that_is_not_known_breaks_no_bound() -> None:
    """A time that could not be measured is missing in the model's document."""
    models = {"single": model(0.1), "refit": {**model(0.2), "latency_ms": None}}
    spec = spec_of(constraints=("latency_ms<=2",))
    assert default_model(spec, models)[0] == "refit"
    assert models_of(spec, {"models": models}, Deciding.of(spec)).default == "refit"


def test_a_small_ensemble_comes_before_one_network() -> None:
    """It is taken if there is no average in bounds."""
    models = with_networks(5, 2)
    assert default_model(spec_of(), {"ensemble": models["ensemble"]})[0] == "ensemble"
    models["average"]["latency_ms"] = 9.0
    assert default_model(spec_of(constraints=("latency_ms<=6",)), models)[0] == "ensemble"
    del models["average"]
    assert default_model(spec_of(), models)[0] == "ensemble"


def test_a_model_beyond_a_bound_is_not_the_default() -> None:
    """With a bound on the latency that only single networks keep, the refit is taken."""
    kind, reason = default_model(spec_of(constraints=("latency_ms<=2",)), ALL)
    assert kind == "refit"
    assert "Out of bounds: average, ensemble." in reason


def test_without_a_model_in_bounds_it_is_the_single_network() -> None:
    """The network that was confirmed is exported if no model keeps the bounds."""
    assert default_model(spec_of(constraints=("latency_ms<=0.1",)), ALL)[0] == "single"


@pytest.mark.parametrize("profile", ["low-latency", "sparse"])
def test_a_profile_of_small_models_takes_one_network(profile: str) -> None:
    """Quick answers or few weights are what the profile is for."""
    assert default_model(spec_of(profile=profile), ALL)[0] == "refit"


def test_a_model_that_was_not_made_has_a_reason() -> None:
    """It is null beside the reason, and the text names both."""
    models = {**ALL, "ensemble": {"left_out": "no predictions were kept"}}
    found = models_of(spec_of(), {"models": models}, Deciding())
    assert found.ensemble is None
    assert found.not_made == {"ensemble": "no predictions were kept"}
    assert "No ensemble: no predictions were kept." in default_line(found)
    assert [row[0] for row in table(found, Deciding())] == ["model", "single", "refit", "average"]
    assert found.average is not None
    assert found.average.test.loss.mean == 0.3


def test_the_models_stand_side_by_side_in_text_and_report(tmp_path: Path) -> None:
    """Text and report have a row for each model, and the line about the default."""
    spec, runs = finished_study()
    found = recommend(spec, runs, {"models": ALL})
    lines = text_of(found).splitlines()
    for kind, document in ALL.items():
        (row,) = (line.split() for line in lines if line.split()[:1] == [kind])
        assert row[1:3] == [str(document["test"]["loss"][0]), "0.5"]
    write_report(tmp_path, spec, found, runs)
    page = (tmp_path / "report.md").read_text("utf-8")
    assert "| average | 0.3 | 0.5 | 3 | 10 |" in page
    assert "<td>average</td>" in (tmp_path / "report.html").read_text("utf-8")
    assert json_safe(found)["models"]["average"]["test"]["loss"]["mean"] == 0.3


def test_before_the_measurement_there_is_none() -> None:
    """Without a measurement nothing is shown."""
    found = models_of(spec_of(), {}, Deciding())
    assert (found.each(), found.default, default_line(found)) == ({}, "", "")
    assert table(found, Deciding()) == []


def test_headings_of_wide_rows_take_two_lines() -> None:
    """The models fit into a terminal of 80 columns even if a column is wide."""
    wide = {kind: {**document, "parameters": 10**30} for kind, document in ALL.items()}
    lines = text_of(recommend(*finished_study(), {"models": wide})).splitlines()
    place = next(k for k, line in enumerate(lines) if line.split()[:1] == ["model"])
    assert lines[place - 1].split() == ["test", "test", "ms", "per"]
    assert lines[place].split() == ["model", "loss", "accuracy", "row", "weights"]
    assert max(map(len, lines)) <= 80
