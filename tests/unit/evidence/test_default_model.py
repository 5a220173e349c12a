"""Which model is exported by default."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.studies import spec_of
from trainstack.search.conclusion.models import default_line, models_of, table
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.default_model import default_model


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


def test_the_test_figures_do_not_decide() -> None:
    """The average is taken although each other model has a lower test loss."""
    assert default_model(spec_of(), ALL)[0] == "average"


@pytest.mark.parametrize(("ensemble", "expected"), [(0.2, "ensemble"), (0.4, "average")])
def test_validation_decides_between_average_and_ensemble(ensemble: float, expected: str) -> None:
    """The lower validation log loss is taken if both have one."""
    models = {
        **ALL,
        "average": model(0.3, validation=0.3),
        "ensemble": model(0.4, validation=ensemble),
    }
    kind, reason = default_model(spec_of(), models)
    assert kind == expected
    assert "validation log_loss" in reason


def test_a_metric_that_rises_is_compared_the_other_way() -> None:
    """Of two accuracies the higher one is better."""
    models = {"average": model(0.3, validation=0.8), "ensemble": model(0.3, validation=0.9)}
    assert default_model(spec_of(metric="accuracy"), models)[0] == "ensemble"


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


def test_before_the_measurement_there_is_none() -> None:
    """Without a measurement nothing is shown."""
    found = models_of(spec_of(), {}, Deciding())
    assert (found.each(), found.default, default_line(found)) == ({}, "", "")
    assert table(found, Deciding()) == []
