"""The trivial predictor and the yardstick beside a recommendation: figures, text and warnings."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.planted_study import finished_study
from trainstack.search.conclusion.recommendation import Recommendation, recommend
from trainstack.search.conclusion.text import text_of
from trainstack.search.conclusion.trivial import trivial, trivial_warnings
from trainstack.search.evidence.estimates import Estimate, Score
from trainstack.search.json_values import json_safe
from trainstack.search.report.write import write_report
from trainstack.spaces.portfolio import MEASURED_DEFAULT

LEARNED = {"loss": (-2.0, -2.1, -1.9), "accuracy": (0.85, 0.8, 0.9)}
NOISE = {"loss": (0.01, -0.02, 0.04), "accuracy": (-0.01, -0.03, 0.01)}
LUCKY = {"loss": (-0.01, -0.03, 0.01), "accuracy": (0.01, -0.01, 0.03)}


def part(gaps: dict[str, tuple[float, float, float]], share: float = 0.1) -> dict[str, Any]:
    """The measurement of a stack with this difference from the trivial predictor."""
    return {
        "test": {
            "loss": [2.3 + gaps["loss"][0]] * 3,
            "accuracy": [share + gaps["accuracy"][0]] * 3,
        },
        "trivial": {
            "validation": {"loss": 2.31, "accuracy": share},
            "test": {"loss": 2.3, "accuracy": share},
            "difference": {
                what: {"mean": mean, "ci95": [low, high], "n": 400}
                for what, (mean, low, high) in gaps.items()
            },
        },
    }


def concluded(chosen: dict[str, Any], baseline: dict[str, Any] | None = None) -> Recommendation:
    """A study's conclusion with this measurement."""
    return recommend(*finished_study(), {"chosen": chosen, "baseline": baseline or chosen})


def about_trivial(found: Recommendation) -> list[str]:
    """The warnings about the trivial predictor."""
    return [w for w in found.warnings if "class shares" in w or "majority" in w]


def test_the_trivial_predictor_stands_in_the_document() -> None:
    """The JSON holds its figures on both parts, beside the stack and beside the default."""
    document = json_safe(concluded(part(LEARNED), part(NOISE)))
    assert document["trivial"]["validation"] == {"loss": 2.31, "accuracy": 0.1}
    assert document["trivial"]["test"] == {"loss": 2.3, "accuracy": 0.1}
    assert document["trivial"]["difference"]["loss"]["mean"] == -2.0
    assert document["baseline"]["trivial"]["difference"]["loss"]["mean"] == 0.01
    assert "trivial" not in document["measured"]


def test_without_a_measurement_its_figures_are_null() -> None:
    """Before the test set is used, and for earlier versions, the document has the same shape."""
    spec, runs = finished_study()
    found = recommend(spec, runs, {})
    assert json_safe(found.trivial.test) == {"loss": None, "accuracy": None}
    assert json_safe(found.trivial.difference.loss) == {"mean": None, "ci95": None, "n": 0}
    assert not about_trivial(found)
    assert "class shares" not in text_of(found)
    json.dumps(json_safe(found), allow_nan=False)


def test_a_stack_that_learned_is_not_warned_of() -> None:
    """One line gives the trivial predictor's figures, without a warning."""
    found = concluded(part(LEARNED))
    text = " ".join(text_of(found).split())
    assert (
        "Always answering the class shares: validation loss 2.31, accuracy 0.1; test loss 2.3, "
        "accuracy 0.1." in text
    )
    assert not about_trivial(found)
    assert found.sentence.startswith("Use ")


def test_pure_noise_is_reported_first() -> None:
    """If neither stack beats the trivial predictor, the first sentence states it, regardless of the
    verdict against the default."""
    found = concluded(part(NOISE), part(LUCKY))
    assert found.verdict == "better"
    assert found.sentence.startswith(
        "No stack was shown to learn anything: neither this stack nor the chapter's default is "
        "better than always answering the class shares. Use "
    )
    assert found.warnings[0].startswith(
        "The recommended stack is no better than always answering the class shares: test loss 2.31"
    )


@given(gap=st.floats(-2.0, 2.0), half=st.floats(0.0, 1.0))
@settings(max_examples=15, deadline=None)
def test_a_stack_beats_the_trivial_predictor_or_is_warned_of(gap: float, half: float) -> None:
    """If the difference's interval is not below 0, the warning and the sentence state it."""
    found = concluded(part({**LEARNED, "loss": (gap, gap - half, gap + half)}))
    beaten = gap + half < 0.0
    assert any("no better than always answering" in w for w in about_trivial(found)) is not beaten
    assert found.sentence.startswith("No stack was shown to learn anything") is not beaten


@pytest.mark.parametrize(("base", "expected"), [(LEARNED, False), (LUCKY, True)])
def test_only_where_both_fail_nothing_learned(base: dict[str, Any], expected: bool) -> None:
    """A default that beats the trivial predictor shows that learning is possible."""
    sentence = concluded(part(LUCKY), part(base)).sentence
    assert sentence.startswith("No stack was shown to learn") is expected


def test_a_difference_that_may_be_luck_is_no_better() -> None:
    """A loss slightly below the trivial one is not shown to beat it on these rows."""
    warning = about_trivial(concluded(part(LUCKY)))[0]
    assert "no better than always answering the class shares, as far as 400 test rows" in warning
    assert "−0.03 to +0.01" in warning


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        ((0.0, 0.0, 0.0), "An accuracy of 0.998 is the majority class's share: judge by the loss."),
        ((-0.01, -0.02, -0.005), "An accuracy of 0.988 is below the majority class's share, 0.998"),
        ((0.001, -0.001, 0.003), "cannot be told from the majority class's share, 0.998"),
    ],
)
def test_an_accuracy_of_the_majority_share_is_named(gap: Any, words: str) -> None:
    """An accuracy reached by a constant answer is identified, even if the loss is better."""
    found = concluded(part({"loss": (-0.01, -0.012, -0.008), "accuracy": gap}, share=0.998))
    (warning,) = about_trivial(found)
    assert words in warning


def test_in_regression_the_mean_of_the_targets_is_the_measure() -> None:
    """In regression the trivial predictor answers the mean, and has an rmse."""
    spec, runs = finished_study()
    spec = replace(spec, data=replace(spec.data, task="regression", classes=()))
    runs = [replace(r, metrics={"rmse": 2.0}) for r in runs]
    beside = {
        "validation": {"loss": 1.02, "rmse": 77.0},
        "test": {"loss": 0.98, "rmse": 75.0},
        "difference": {"loss": {"mean": 0.1, "ci95": [0.05, 0.15], "n": 40}},
    }
    measured = {"chosen": {"test": {"loss": [1.08], "rmse": [79.0]}, "trivial": beside}}
    found = recommend(spec, runs, measured)
    text = " ".join(text_of(found).split())
    assert json_safe(found)["trivial"] == beside
    assert (
        "Always answering the mean of the training targets: validation loss 1.02, rmse 77" in text
    )
    assert found.warnings[0] == (
        "The recommended stack is no better than always answering the mean of the training "
        "targets: test loss 1.08 against 0.98."
    )


def test_before_the_test_set_is_opened_the_validation_loss_decides() -> None:
    """Without test rows a validation loss at or above the trivial one gives a warning."""
    beside = trivial({"trivial": {"validation": {"loss": 0.69, "accuracy": 0.5}}}, "accuracy")
    scores = Score(Estimate(math.nan), accuracy=Estimate(math.nan))
    (warning,) = trivial_warnings(beside, scores, 0.7, "accuracy")
    assert warning.endswith("validation loss 0.7 against 0.69.")
    assert trivial_warnings(beside, scores, 0.5, "accuracy") == []
    assert trivial_warnings(beside, scores, None, "accuracy") == []


def test_the_report_has_the_same_line(tmp_path: Path) -> None:
    """HTML and Markdown have the line above the explanation of the choice."""
    spec, runs = finished_study()
    found = concluded(part(NOISE))
    write_report(tmp_path, spec, found, runs)
    for name in ("report.html", "report.md"):
        text = (tmp_path / name).read_text("utf-8")
        assert text.index("Always answering the class shares") < text.index("How sure are we")


YARDSTICK = {
    "model": "HistGradientBoostingClassifier",
    "seconds": 1.5,
    "validation": {"loss": 0.4, "accuracy": 0.94},
    "test": {"loss": 0.41, "accuracy": 0.93},
}


def measured_beside(yardstick: dict[str, Any] | None, **test: list[float]) -> dict[str, Any]:
    """A measurement with slightly different seeds, and of the yardstick."""
    scores = {"loss": [0.2, 0.21, 0.22], "accuracy": [0.95, 0.955, 0.96], **test}
    found = {"chosen": {"test": scores}, "baseline": {"test": scores}}
    return found if yardstick is None else {**found, "yardstick": yardstick}


@pytest.mark.parametrize(
    ("test", "against", "words"),
    [
        ({}, ("worse", "worse"), "; worse than the network."),
        (
            {"loss": [0.6, 0.61, 0.62], "accuracy": [0.9, 0.9, 0.9]},
            ("better", "better"),
            "; better than the network. The network does not beat it, and may not be the right "
            "tool here.",
        ),
        (
            {"loss": [0.40, 0.41, 0.42], "accuracy": [0.92, 0.93, 0.94]},
            ("level", "level"),
            "; level with the network. The network does not beat it.",
        ),
        (
            {"accuracy": [0.9, 0.9, 0.9]},
            ("worse", "better"),
            "; worse than the network in loss, better in accuracy.",
        ),
        (
            {"loss": [0.40, 0.41, 0.42]},
            ("level", "worse"),
            "; level with the network in loss, worse in accuracy. The network does not beat it.",
        ),
    ],
)
def test_the_yardstick_is_compared_with_the_network(
    test: dict[str, Any], against: tuple[str, str], words: str
) -> None:
    """One line gives its figures, and whether they lie outside the network's interval."""
    found = recommend(*finished_study(), measured_beside(YARDSTICK, **test))
    document = json_safe(found)["yardstick"]
    assert document["test"] == YARDSTICK["test"]
    assert (document["against"]["loss"], document["against"]["accuracy"]) == against
    line = (
        "Gradient boosting (scikit-learn's HistGradientBoostingClassifier with its defaults) on "
        "the same rows: validation loss 0.4, accuracy 0.94; test loss 0.41, accuracy 0.93" + words
    )
    assert line in " ".join(text_of(found).split())


@pytest.mark.parametrize(
    ("average", "words"),
    [
        (0.39, "One network does not beat it, the average model does: test loss 0.39."),
        (0.42, "The network does not beat it, and may not be the right tool here."),
    ],
)
def test_the_exported_model_may_beat_the_yardstick(average: float, words: str) -> None:
    """Where one network does not, the line says whether the model that is exported does."""
    measured = measured_beside(YARDSTICK, loss=[0.6, 0.61, 0.62])
    model = {"test": {"loss": [average], "accuracy": [0.9]}, "latency_ms": 1.0, "parameters": 10}
    model |= {"rows": 9, "members": [{"stack_id": "a", "seed": 1, "weight": 1}]}
    found = recommend(*finished_study(), {**measured, "models": {"average": model}})
    assert words in " ".join(text_of(found).split())


def test_a_yardstick_left_out_has_its_reason() -> None:
    """The line gives the reason, and the figures are null."""
    left_out = {"model": "HistGradientBoostingClassifier", "left_out": "MemoryError: no room"}
    found = recommend(*finished_study(), measured_beside(left_out))
    assert "with its defaults) was left out: MemoryError: no room." in " ".join(
        text_of(found).split()
    )
    assert json_safe(found.yardstick.test) == {"loss": None, "accuracy": None}


def test_without_a_yardstick_there_is_no_line() -> None:
    """If none was requested, or before the measurement, the document has nulls and no line."""
    for measured in ({}, measured_beside(None)):
        found = recommend(*finished_study(), measured)
        assert "Gradient boosting" not in text_of(found)
        assert found.yardstick.model is None
        json.dumps(json_safe(found), allow_nan=False)


def test_the_measured_default_stands_beside_the_chapters() -> None:
    """The text gives its confirmed figures, or says that it is the recommended stack; nothing if
    it was not confirmed."""
    spec, runs = finished_study()

    def said_of(stack_id: str) -> list[str]:
        marked = [
            replace(r, label=MEASURED_DEFAULT if r.stack_id == stack_id else None) for r in runs
        ]
        lines = text_of(recommend(spec, marked, {})).splitlines()
        return [line for line in lines if MEASURED_DEFAULT in line]

    found = recommend(spec, runs, {})
    other = next(row for row in found.runners_up if row.label != "chapter-default")
    (line,) = said_of(other.stack_id)
    assert line.startswith(
        f"{MEASURED_DEFAULT}, the best stack on other tables: validation loss 0."
    )
    (line,) = said_of(found.stack_id)
    assert line == f"The recommended stack is {MEASURED_DEFAULT}, the best stack on other tables."
    assert said_of("none") == []
