"""What `--track` may say, and what a tracker gets of a run."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

import pytest

from trainstack.search.records import Outcome
from trainstack.search.tracking.records import TrackedRun, version_of
from trainstack.search.tracking.trackers import Tracked, read_tracker
from trainstack.spaces.errors import RequestError

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "environment", "place"),
    [
        ("mlflow=http://127.0.0.1:5000", {}, "http://127.0.0.1:5000"),
        ("mlflow", {"MLFLOW_TRACKING_URI": "http://there"}, "http://there"),
        ("mlflow=http://here", {"MLFLOW_TRACKING_URI": "http://there"}, "http://here"),
        ("tensorboard=/runs", {}, "/runs"),
        ("mlflow=sqlite:///a=b.db", {}, "sqlite:///a=b.db"),
    ],
)
def test_a_tracker_and_its_place_are_read(
    text: str, environment: dict[str, str], place: str
) -> None:
    """What stands after the first equals sign is the place; MLflow has a variable for it."""
    assert read_tracker(text, environment) == Tracked(text.partition("=")[0], place)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mlfow=http://here", "did you mean 'mlflow'?"),
        ("mlflow", "MLFLOW_TRACKING_URI"),
        ("tensorboard", "tensorboard=DIR"),
        ("", "mlflow[=URI] or tensorboard=DIR"),
    ],
)
def test_what_cannot_be_tracked_is_refused(text: str, words: str) -> None:
    """A misspelt tracker, and one without a place, are refused with what was expected."""
    with pytest.raises(RequestError) as refused:
        read_tracker(text, {})
    assert words in str(refused.value)


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that brings the package stands in the hint."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"pip install 'trainstack\[mlflow\]'"):
        read_tracker("mlflow=http://here", {})


def test_a_password_in_a_uri_is_not_shown() -> None:
    """Messages name the tracker without user and password."""
    tracked = Tracked("mlflow", "https://me:secret@there:5000/x")
    assert tracked.flag == "mlflow=https://…@there:5000/x"


def test_curves_have_points_where_they_are_finite() -> None:
    """Epochs count from 1; values that are not finite are left out."""
    run = TrackedRun(
        *("trial 0", "v", Outcome.DIVERGED, {}, {}),
        curves={"valid_loss": (0.5, math.nan, 0.25), "train_loss": (math.inf,)},
        tags={},
        began=AT,
        ended=AT,
    )
    assert run.points() == [("valid_loss", 0.5, 1), ("valid_loss", 0.25, 3)]


def test_another_result_is_another_version() -> None:
    """A trial that is voided, or trained anew, has another version than before."""
    versions = {
        version_of("completed", AT),
        version_of("voided", AT),
        version_of("completed", AT + timedelta(seconds=1)),
    }
    assert len(versions) == 3
