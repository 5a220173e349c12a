"""A non-finite figure counts as missing; text, JSON and report are still written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.planted_study import Planted, made_up_spec, neighbours
from trainstack.search.conclusion.recommendation import Recommendation, recommend
from trainstack.search.conclusion.text import text_of
from trainstack.search.dashboard.plots import PLOTS
from trainstack.search.json_values import json_safe
from trainstack.search.records import CONFIRMATION, SEARCH, Run
from trainstack.search.report.write import write_report
from trainstack.search.spec import StudySpec
from trainstack.spaces.profiles import PROFILES
from trainstack.spaces.references import CHAPTER_DEFAULT

STACKS = [CHAPTER_DEFAULT, *neighbours(3)]
PLANTED = Planted(effects={"dropout": {"last": -0.2}})
PROBABILITIES = {"log_loss": 0.3, "brier": 0.2, "ece": 0.05}
FIGURES = {"loss": 0.3, "accuracy": 0.9, **PROBABILITIES}
PASSES = [{"passes": n, **FIGURES} for n in (1, 10, 100)]
LAYER = {"mean": 0.1, "deviation": 1.1, "saturated": 0.0, "dead": 0.1, "gradient_norm": 0.01}
NOT_FINITE = (math.inf, -math.inf, math.nan)
# plotly.js, whose own code contains such numbers
SCRIPTS = ("report.html", "plotly.min.js")


def part(loss: float) -> dict[str, Any]:
    """All figures that may be measured of a stack."""
    score = {"loss": 2.3, "accuracy": 0.1}
    gap = {"mean": -1.0, "ci95": [-1.2, -0.8], "n": 100}
    return {
        "test": {"loss": [loss, loss + 0.01], "accuracy": [0.9, 0.91]},
        "trivial": {
            **{"validation": score, "test": score},
            "difference": {"loss": gap, "accuracy": gap},
        },
        **PROBABILITIES,
        "monte_carlo": PASSES,
        "monte_carlo_seeds": [
            {"seed": seed, "deterministic": FIGURES, "passes": PASSES} for seed in (1, 2)
        ],
        **{"latency_ms": 0.1, "latency_ms_64": 0.4, "parameters": 1000, "nonzero_fraction": 0.8},
        "sparsity": [
            {"threshold": t, "nonzero_fraction": f, "loss": 0.3, "affordable": t < 0.1}
            for t, f in ((0.0, 1.0), (0.01, 0.5), (0.1, 0.1))
        ],
        "sparsity_test_loss": 0.31,
        "deployed": [
            {
                "precision": "float16",
                "latency_ms": 0.1,
                "latency_ms_64": 1.0,
                "bytes": 9000,
                "loss": 0.3,
                "accuracy": 0.9,
            }
        ],
    }


def measured() -> dict[str, Any]:
    """Return the result of a measurement on the test set."""
    score = {"loss": 0.25, "accuracy": 0.92}
    boosting = {"model": "HistGradientBoostingClassifier", "left_out": None, "seconds": 2.0}
    return {
        **{"chosen": part(0.3), "baseline": part(0.4), "seeds": [1, 2]},
        "yardstick": {**boosting, "validation": score, "test": score},
    }


def study(profile: str) -> tuple[StudySpec, list[Run]]:
    """Return a confirmed study with one pruned trial."""
    spec = made_up_spec(space={"axes": {}}, trials=len(STACKS) + 1, replicates=3, profile=profile)
    spec = replace(spec, constraints=("parameters<=50000", "latency_ms<=1"))
    searched = PLANTED.search(spec, [*STACKS, CHAPTER_DEFAULT.but(optimizer="adamw")])
    cut = {"outcome": "pruned", "value": None, "curve": searched[-1].curve[:4], "epochs": 4}
    runs = PLANTED.confirm(spec, [*searched[:-1], replace(searched[-1], **cut)])
    metrics = {"latency_ms": 0.2, "nonzero_fraction": 0.5}
    layers = {"start": [LAYER, LAYER], "end": [LAYER, LAYER]}
    return spec, [replace(r, metrics={**r.metrics, **metrics}, layers=layers) for r in runs]


STUDIES = {profile: study(profile) for profile in PROFILES}
OF_A_RUN = ("value", "curve", "train_curve", "metrics", "seconds", "layers")


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every number of a document."""
    if isinstance(document, Mapping):
        return [p for k, v in document.items() for p in places(v, (*path, k))]
    if isinstance(document, list | tuple):
        return [p for k, v in enumerate(document) for p in places(v, (*path, k))]
    return [path] if isinstance(document, int | float) and not isinstance(document, bool) else []


def spoilt(document: Any, path: Sequence[Any], value: float | None) -> Any:
    """Return a document with one number replaced."""
    if not path:
        return value
    first, *rest = path
    if isinstance(document, list | tuple):
        return type(document)(
            spoilt(v, rest, value) if k == first else v for k, v in enumerate(document)
        )
    return {**document, first: spoilt(document[first], rest, value)}


def figures(run: Run) -> dict[str, Any]:
    """Return every figure of a run."""
    return {name: getattr(run, name) for name in OF_A_RUN}


def marred(run: Run, path: Sequence[Any], value: float) -> Run:
    """Return a run with one number replaced."""
    return replace(run, **spoilt(figures(run), path, value))


def concluded(
    spec: StudySpec, runs: Sequence[Run], found: Mapping[str, Any], folder: Path | None = None
) -> Recommendation:
    """Conclude as text, JSON, dashboard plots and, given a folder, as a report."""
    conclusion = recommend(spec, runs, found)
    json.dumps(json_safe(conclusion), allow_nan=False)
    assert not re.search(r"\b(nan|inf)\b", text_of(conclusion))
    for draw in PLOTS.values():
        draw(runs, "loss")
    for path in write_report(folder, spec, conclusion, runs) if folder else ():
        text = path.read_text("utf-8")
        assert path.name in SCRIPTS or not re.search(r"\b(NaN|Infinity|nan|inf)\b", text), path
    return conclusion


@pytest.mark.parametrize("value", [*NOT_FINITE, None], ids=str)
def test_no_figure_of_the_measurement_is_finite(tmp_path: Path, value: float | None) -> None:
    """If no number of the measurement is finite, the report names the missing figures."""
    found: Any = measured()
    for path in places(found):
        found = spoilt(found, path, value)
    conclusion = concluded(*STUDIES["low-latency"], found, tmp_path)
    assert conclusion.test.loss.n == 0
    assert any("not finite" in warning for warning in conclusion.warnings)


@pytest.mark.parametrize("value", NOT_FINITE, ids=str)
@pytest.mark.parametrize("phase", [SEARCH, CONFIRMATION])
def test_one_run_has_no_finite_figure(tmp_path: Path, phase: str, value: float) -> None:
    """The run is excluded where its figures are needed, with a note; the others are unaffected."""
    spec, runs = STUDIES["default"]
    place = max(k for k, run in enumerate(runs) if run.phase == phase and run.outcome != "pruned")
    run = runs[place]
    for path in places(figures(run)):
        run = marred(run, path, value)
    conclusion = concluded(spec, [*runs[:place], run, *runs[place + 1 :]], measured(), tmp_path)
    counted = [w for w in conclusion.warnings if "not finite, and count" in w]
    assert counted == ["1 run has a figure that is not finite, and count as without that figure."]


def test_no_run_has_a_finite_score(tmp_path: Path) -> None:
    """Without a confirmed loss the search's best trial is recommended, and all runs are counted."""
    spec, runs = STUDIES["default"]
    runs = [replace(r, value=math.nan) if r.phase == CONFIRMATION else r for r in runs]
    conclusion = concluded(spec, runs, {}, tmp_path)
    n = sum(r.phase == CONFIRMATION for r in runs)
    assert conclusion.validation.loss.n == 0
    assert any(w.startswith(f"{n} runs have a figure") for w in conclusion.warnings)


@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_any_figure_is_not_finite(data: st.DataObject, tmp_path_factory: Any) -> None:
    """Any non-finite figures of runs and measurement permit a conclusion."""
    spec, runs = STUDIES[data.draw(st.sampled_from([*PROFILES]))]
    runs = list(runs)
    value = st.sampled_from(NOT_FINITE)
    for k in data.draw(st.lists(st.integers(0, len(runs) - 1), max_size=6)):
        runs[k] = marred(
            runs[k], data.draw(st.sampled_from(places(figures(runs[k])))), data.draw(value)
        )
    found: Any = measured()
    for path in data.draw(st.lists(st.sampled_from(places(found)), max_size=3)):
        found = spoilt(found, path, data.draw(value))
    kept = json_safe(found) if data.draw(st.booleans()) else found
    # A report for every fourth case, as it takes ten times as long as the rest
    reported = data.draw(st.integers(0, 3)) == 0
    concluded(spec, runs, kept, tmp_path_factory.mktemp("report") if reported else None)
