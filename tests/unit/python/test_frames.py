"""Records of trials as a data frame, and a recommendation in a notebook."""

from __future__ import annotations

import json

import pandas as pd

from tests.support.planted_study import study
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.conclusion.text import text_of
from trainstack.search.json_values import json_safe
from trainstack.search.python.recommended import Recommended
from trainstack.search.python.trials_frame import as_frame
from trainstack.search.queue.trial_record import trial_of
from trainstack.search.studies.conclusion import Conclusion


def test_a_frame_has_a_row_for_each_trial() -> None:
    """Numbers of nested objects have columns of their own; a curve stays a list."""
    _, runs = study(3, 2)
    frame = as_frame([trial_of(run) for run in runs])
    assert frame["value"].tolist() == [run.value for run in runs]
    assert frame["metrics.accuracy"].tolist() == [run.metrics["accuracy"] for run in runs]
    assert frame["curve"].tolist() == [list(run.curve) for run in runs]
    for run, given in zip(runs, frame.to_dict("records"), strict=True):
        assert run.stack is not None
        assert given["stack.optimizer.learning_rate"] == run.stack["optimizer.learning_rate"]
        rates = pd.isna(given.get("stack.dropout.rate"))
        assert rates == (run.stack.get("dropout.rate") is None)
    assert "layers" not in frame


def test_no_trial_is_an_empty_frame() -> None:
    """Without trials the frame has the columns that every study has."""
    frame = as_frame([])
    assert len(frame) == 0
    assert {"number", "outcome", "value", "curve"} <= set(frame.columns)


def test_a_recommendation_is_the_documents() -> None:
    """It has the document of `recommend --json`, its text, and a table for a notebook."""
    spec, runs = study()
    found = recommend(spec, runs, {})
    shown = Recommended.of(Conclusion(spec, runs, found))
    assert shown.to_json() == json_safe(found)
    assert json.dumps(shown.to_json(), allow_nan=False)
    assert str(shown) == text_of(found)
    html = shown._repr_html_()
    assert html.count("<tr>") == 1 + 2 * len(found.deciding.shown)
    assert "recommended" in html
    alone = Recommended.of(Conclusion(spec, runs, found)).baseline.stack == found.stack
    assert ("<th>recommended</th>" in html) != alone
