"""The recommendation in every final state of a study, its effects, claims and warnings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.planted_study import (
    ADAM,
    BETTER,
    LAST,
    NEIGHBOURS,
    Planted,
    finished_study,
)
from trainstack.search.claims.table import CLAIMS
from trainstack.search.conclusion import search_warnings
from trainstack.search.conclusion import warnings as table_of_warnings
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.conclusion.replay_command import replay_command
from trainstack.search.conclusion.text import text_of
from trainstack.search.evidence.comparisons import contrast
from trainstack.search.evidence.effects import Effect, Kind, differ_only, effects, pairs
from trainstack.search.evidence.estimates import Verdict
from trainstack.search.evidence.formatting import describe
from trainstack.search.evidence.race import choice
from trainstack.search.json_values import json_safe
from trainstack.spaces.axes import AXES
from trainstack.spaces.errors import NothingToRecommend
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES
from trainstack.spaces.stack import Stack

FIELDS = (
    *("study", "profile", "stack", "stack_id", "verdict", "validation", "test", "baseline"),
    *("difference", "optimism", "runners_up", "effects", "claims", "warnings", "measured"),
    "replay",
)
MEASURED: dict[str, Any] = {
    "seeds": [1, 2, 3],
    "chosen": {
        "test": {"loss": [0.31, 0.32, 0.33], "accuracy": [0.95, 0.96, 0.97]},
        **{"log_loss": 0.32, "ece": 0.01, "brier": 0.05, "latency_ms": 0.2},
        **{"parameters": 1000, "nonzero_fraction": 1.0},
    },
    "baseline": {"test": {"loss": [0.5, 0.5, 0.5], "accuracy": [0.9, 0.9, 0.9]}},
}


def test_json_has_every_field_of_the_contract() -> None:
    """The document holds every promised field with its shape, and is JSON without NaN."""
    document = json_safe(recommend(*finished_study(), MEASURED))
    assert set(FIELDS) <= set(document)
    for part in (document, document["baseline"]):
        for scores in (part["validation"], part["test"]):
            for what in ("loss", "accuracy"):
                assert set(scores[what]) == {"mean", "ci95", "n"}
    assert set(document["difference"]) == {"metric", "mean", "ci95", "n_pairs"}
    assert set(document["measured"]) >= {
        *("latency_ms", "parameters", "nonzero_fraction", "log_loss", "ece")
    }
    assert Stack.from_json(document["stack"]).stack_id == document["stack_id"]
    assert [row["axis"] for row in document["effects"]] == list(AXES)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_real_gain_is_better_with_its_size_in_the_interval() -> None:
    """A stack planted 0.2 below the default is recommended as better, by about 0.2."""
    found = recommend(*finished_study(), MEASURED)
    assert found.difference.ci95 is not None
    low, high = found.difference.ci95
    assert found.stack == LAST
    assert found.verdict == "better"
    assert low <= -0.2 <= high < 0.0
    accuracy = found.test.metric
    assert (accuracy.mean, accuracy.n) == (pytest.approx(0.96), 3)
    assert accuracy.ci95 == pytest.approx((0.96 - 0.02484, 0.96 + 0.02484), abs=1e-4)
    assert "lower" in found.sentence
    assert "chapter's default" in found.sentence


def test_the_default_is_equivalent_to_itself() -> None:
    """If the default is recommended the verdict is `equivalent` with a difference of exactly 0."""
    found = recommend(*finished_study(Planted()), {})
    assert found.stack == CHAPTER_DEFAULT
    assert found.verdict == "equivalent"
    assert found.difference.mean == 0.0
    assert "Use the chapter's default" in found.sentence


def test_before_the_test_set_is_opened_its_scores_are_null() -> None:
    """Without a measurement the test scores are null with the same shape, and a warning appears."""
    found = recommend(*finished_study(), {})
    assert json_safe(found.test)["loss"] == {"mean": None, "ci95": None, "n": 0}
    assert any("test set has not been opened" in w for w in found.warnings)


def test_regression_reports_rmse() -> None:
    """A regression's metric is the root mean squared error."""
    spec, runs = finished_study()
    spec = replace(spec, data=replace(spec.data, task="regression", classes=()))
    runs = [replace(r, metrics={"rmse": 2.0}) for r in runs]
    found = recommend(spec, runs, {})
    assert found.validation.metric.mean == 2.0
    assert "accuracy" not in json_safe(found)["validation"]


def test_without_a_finished_trial_there_is_nothing_to_recommend() -> None:
    """Without a finished trial one line lists the outcomes."""
    spec, runs = finished_study(Planted(diverge=frozenset({ADAM.stack_id})), (ADAM,))
    with pytest.raises(NothingToRecommend, match="1 diverged"):
        recommend(spec, runs, {})
    with pytest.raises(NothingToRecommend, match="no trials"):
        recommend(spec, [], {})


@pytest.mark.parametrize("replicates", [0, 1, 2])
def test_few_replicates_still_recommend_and_warn(replicates: int) -> None:
    """With 0, 1 or 2 replicates there is a recommendation, a warning, and printable text."""
    found = recommend(*finished_study(replicates=replicates), {})
    assert any("--replicates" in w for w in found.warnings)
    assert describe(found.stack) in " ".join(text_of(found).split())
    if replicates < 2:
        assert found.difference.ci95 is None


@pytest.mark.parametrize(("folds", "warned"), [(1, False), (3, False), (5, True)])
def test_fewer_replicates_than_folds_are_a_warning(folds: int, warned: bool) -> None:
    """Three runs on five folds leave rows on which none validated; on three folds they do not."""
    spec, runs = finished_study(replicates=3)
    found = recommend(replace(spec, folds=folds), runs, {})
    said = [w for w in found.warnings if "Only 3 of 5 folds confirmed" in w]
    assert [w.endswith("Ask for --replicates 5.") for w in said] == [True] * warned


def test_every_moment_of_a_study_gives_a_document() -> None:
    """After any run, a study with a finished trial gives strict JSON and text."""
    spec, runs = finished_study()
    for cut in range(1, len(runs) + 1):
        found = recommend(spec, runs[:cut], {})
        json.dumps(json_safe(found), allow_nan=False)
        assert text_of(found)


def test_a_default_that_cannot_be_trained_leaves_the_verdict_open() -> None:
    """Without a run of the default the verdict is `undecided`, with a warning."""
    planted = replace(BETTER, diverge=frozenset({CHAPTER_DEFAULT.stack_id}))
    found = recommend(*finished_study(planted), {})
    assert found.verdict == "undecided"
    assert any("default did not finish 5" in w for w in found.warnings)


def test_runners_up_are_the_other_confirmed_stacks_best_first() -> None:
    """All other confirmed stacks are listed by loss, each with its difference."""
    found = recommend(*finished_study(), {})
    means = [row.validation.loss.mean for row in found.runners_up]
    assert len(means) == 4
    assert means == sorted(means)
    assert all(row.difference.mean > 0.0 for row in found.runners_up)


def test_replay_names_the_trial() -> None:
    """The replay command names the study, quoted for a shell, and the trial."""
    spec, runs = finished_study()
    found = recommend(replace(spec, study="my study"), runs, {})
    number = next(r.number for r in runs if r.stack == LAST)
    assert found.replay == f"trainstack replay 'my study' {number}"


def test_the_command_for_a_table_says_what_to_predict() -> None:
    """A stack without a trial is launched again with the study's targets and flags."""
    spec, runs = finished_study(Planted(), NEIGHBOURS)
    data = replace(
        spec.data,
        source="my rows.csv",
        target=("a, b", "c"),
        task="regression",
        target_transform="log",
        overrules={"drop": ["d e"]},
        split={"group": "who is it"},
    )
    found = recommend(replace(spec, data=data), runs, {})
    assert (
        """launch 'my rows.csv' --target '"a, b",c' --task regression --target-transform log """
        "--drop 'd e' --group 'who is it' --stacks stack.json"
    ) in found.replay


def test_the_command_for_another_metric_says_what_decides() -> None:
    """A stack without a trial is launched again with the study's metric, loss and weights."""
    spec, runs = finished_study(Planted(), NEIGHBOURS)
    asked = replace(
        spec,
        data=replace(spec.data, weight="how often"),
        metric="accuracy",
        loss="focal",
        class_weight="balanced",
    )
    found = recommend(asked, runs, {})
    flags = "--metric accuracy --loss focal --weight 'how often' --class-weight balanced"
    assert f" {flags} --stacks stack.json --folds 1 --study " in found.replay


def test_each_target_has_its_own_scores() -> None:
    """The scores of several targets stand in the measurement's order; one target has none."""
    scores = {"loss": [0.2, 0.4], "accuracy": [0.9, 0.8]}
    rows = [{"target": "wet", "test": scores}, {"target": "cold", "test": scores}]
    measured = {**MEASURED, "chosen": {**MEASURED["chosen"], "targets": rows}}
    found = json_safe(recommend(*finished_study(), measured))["targets"]
    assert [row["target"] for row in found] == ["wet", "cold"]
    assert found[0]["test"]["accuracy"]["mean"] == pytest.approx(0.85)
    assert json_safe(recommend(*finished_study(), MEASURED))["targets"] == []


def test_planted_effects_are_measured_by_pairs() -> None:
    """A choice planted with -0.2 is `better` with an interval around -0.2."""
    _, runs = finished_study()
    rows = {e.axis: e for e in effects(LAST, runs, 0.5)}
    found = rows["dropout"]
    assert (found.choice, found.alternative, found.kind) == ("last", "none", "paired")
    assert found.word == "better"
    assert found.ci95 is not None
    assert found.ci95[0] <= -0.2 <= found.ci95[1]
    assert found.n_pairs == 5


def test_stacks_that_differ_in_more_earn_no_word() -> None:
    """If stacks differ in several axes there are no pairs, and the verdict is `no evidence`."""
    far = LAST.but(optimizer="adam", batch_size=64)
    _, runs = finished_study(stacks=(CHAPTER_DEFAULT, far))
    for effect in effects(far, runs, 0.5):
        assert effect.word == "no evidence"
        assert effect.n_pairs == 0
        assert effect.ci95 is None


def test_learning_rate_and_initializer_follow_the_choice() -> None:
    """A pair may differ in its learning rate, and in its activation's own initializer."""
    relu = CHAPTER_DEFAULT.but(activation="relu", initializer="he_normal")
    relu = relu.but(optimizer__learning_rate=0.003)
    assert differ_only(CHAPTER_DEFAULT, relu, "activation")
    assert not differ_only(CHAPTER_DEFAULT, relu.but(batch_size=64), "activation")
    assert not differ_only(CHAPTER_DEFAULT, CHAPTER_DEFAULT, "activation")


def test_pairs_of_one_seed_count_once_in_the_interval() -> None:
    """Two pairs of stacks with the same seeds give one independent value per seed."""
    found = [("a", "b", j, 1.0 + j) for j in range(3)] + [("c", "d", j, 2.0 + j) for j in range(3)]
    value = contrast(found, {})
    assert value.n == 3
    assert value.mean == pytest.approx(2.5)


def test_pairs_share_their_seed() -> None:
    """Only runs with equal seeds form a pair."""
    _, runs = finished_study()
    seeds = {r.seed_index: r.seed for r in runs if r.seed_index >= 0}
    found = pairs(runs, "dropout", "last", "none")
    assert [j for _, _, j, _ in found] == sorted(seeds)


def test_all_claims_are_listed_and_unpaired_ones_have_no_evidence() -> None:
    """C1 to C26 each have a row; a claim without pairs names what is missing."""
    rows = recommend(*finished_study(), {}).claims
    assert [row.id for row in rows] == [f"C{k}" for k in range(1, 27)] == list(CLAIMS)
    for row in rows:
        if row.judgement.n_pairs == 0:
            assert row.judgement.word == "no evidence"
            assert row.judgement.reason


def test_claims_follow_the_planted_truth() -> None:
    """Nadam planted worse than Adam contradicts C11; a beaten default contradicts C23."""
    worse = Planted(effects={"optimizer": {"adam": -0.2}}, deviation=0.01)
    rows = {row.id: row.judgement for row in recommend(*finished_study(worse), {}).claims}
    assert rows["C11"].word == "contradicted"
    assert rows["C11"].effect == pytest.approx(0.2, abs=0.02)
    assert rows["C23"].word == "contradicted"
    better = Planted(effects={"optimizer": {"adam": 0.2}}, deviation=0.01)
    rows = {row.id: row.judgement for row in recommend(*finished_study(better), {}).claims}
    assert rows["C11"].word == rows["C23"].word == "supported"


def test_a_claim_about_some_networks_rests_on_those_alone() -> None:
    """ELU against SELU counts for C2 only under batch normalization."""
    planted = Planted(effects={"activation": {"elu": -0.2}}, deviation=0.01)
    words = []
    for placed in ("none", "before"):
        selu = CHAPTER_DEFAULT.but(normalization=placed)
        elu = selu.but(activation="elu", initializer="he_normal")
        found = recommend(*finished_study(planted, (CHAPTER_DEFAULT, selu, elu)), {})
        words.append(next(row.judgement.word for row in found.claims if row.id == "C2"))
    assert words == ["no evidence", "supported"]


RATES = {
    "axes": {"optimizer": {"nadam": {"learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}}}}
}


@pytest.mark.parametrize(
    ("rate", "warned"), [(1.2e-5, True), (9e-3, True), (1e-3, False), (0.07, False)]
)
def test_a_learning_rate_at_its_edge_warns(rate: float, warned: bool) -> None:
    """A rate in the range within a tenth, on its log scale, of either end gives a warning."""
    stack = LAST.but(optimizer__learning_rate=rate)
    found = recommend(*finished_study(stacks=(CHAPTER_DEFAULT, stack), space=RATES), {})
    assert found.stack == stack
    assert any("edge" in w for w in found.warnings) is warned


def test_thin_arms_warn() -> None:
    """An arm with fewer than three finished trials is named with its count."""
    space = {"axes": {"optimizer": {"nadam": {}, "adam": {}}, "batch_size": {"choices": [32, 64]}}}
    found = recommend(*finished_study(space=space), {})
    (warning,) = [w for w in found.warnings if w.startswith("Arms")]
    assert "Adam 1" in warning
    assert "Nadam" not in warning


def test_a_pruned_trial_that_was_on_course_warns() -> None:
    """A trial pruned while level with the best one's curve is named; one far above is not."""
    spec, runs = finished_study()
    best = min((r for r in runs if r.value), key=lambda r: r.value or 0.0)
    cut = {"outcome": "pruned", "phase": "search", "seed_index": -1, "epochs": 3}
    early = replace(best, number=90, curve=tuple(0.9 * v for v in best.curve[:3]), **cut)
    hopeless = replace(best, number=91, curve=tuple(2.0 * v for v in best.curve[:3]), **cut)
    chosen = choice(spec, runs)
    assert chosen is not None
    (warning,) = search_warnings.pruned_on_course(spec, [*runs, early, hopeless], chosen)
    assert "90" in warning
    assert "91" not in warning


def test_a_perfect_best_trial_is_the_one_on_whose_course_others_are() -> None:
    """A best trial whose objective is 0, such as 1 - accuracy, is not taken for the worst."""
    spec, runs = finished_study()
    second = min((r for r in runs if r.value), key=lambda r: r.value or 0.0)
    own = {"phase": "search", "seed_index": -1}
    curve = tuple(0.1 * v for v in second.curve[:-1])
    perfect = replace(second, number=90, value=0.0, curve=(*curve, 0.0), **own)
    cut = {"outcome": "pruned", "epochs": 3, **own}
    early = replace(second, number=91, curve=tuple(0.9 * v for v in second.curve[:3]), **cut)
    chosen = choice(spec, runs)
    assert chosen is not None
    assert search_warnings.pruned_on_course(spec, [*runs, perfect, early], chosen) == []


@pytest.mark.parametrize(
    ("curve", "falling"),
    [
        ((-50.0, -100.0, -99.9), False),
        ((-50.0, -100.0, -110.0), True),
        ((0.9, 0.5, 0.3), True),
        ((0.9, 0.3, 0.2999), False),
        ((0.9, 0.3, 0.4), False),
        ((0.3,), False),
    ],
)
def test_falling_curves_are_distinguished_from_flat_ones(
    curve: tuple[float, ...], falling: bool
) -> None:
    """A curve is still falling if its last epoch is clearly below all earlier ones."""
    assert search_warnings.falls_at_end(curve) is falling


@pytest.mark.parametrize("stack", [*REFERENCES.values()], ids=[*REFERENCES])
def test_every_reference_stack_has_words(stack: Stack) -> None:
    """A description names the widths and the learning rate, in one line."""
    words = describe(stack)
    assert f"at {stack['optimizer.learning_rate']:.3g}" in words
    assert "\n" not in words
    assert len(words) < (300 if "NTK" in words else 200)


def test_a_better_choice_found_afterwards_is_said() -> None:
    """Where an ablation beats the recommended stack, a warning names the choice and its gain."""
    result = 0.02, (0.01, 0.03), 5, Verdict.WORSE, Kind.PAIRED
    worse = Effect("units", [300, 100], [512, 512], *result)
    open_ = replace(worse, axis="dropout", ci95=(-0.01, 0.03), word=Verdict.NO_EVIDENCE)
    (said,) = table_of_warnings.bettered([open_, worse])
    assert "units 512-512 instead of 300-100 (loss −0.03 to −0.01)" in said
    assert "dropout" not in said
    assert table_of_warnings.bettered([open_]) == []


def test_folds_are_described_once_and_asked_for_again() -> None:
    """With folds a sentence says how trials were scored; the command repeats the flags."""
    spec, runs = finished_study()
    divided = replace(spec, folds=5, repeats=2)
    found = recommend(divided, runs, MEASURED)
    told = "scored by the mean over 5 folds of 2 divisions"
    assert " ".join(text_of(found).split()).count(told) == 1
    assert "folds" not in text_of(recommend(spec, runs, MEASURED))
    again = replay_command(divided, None)
    assert "--stacks stack.json --folds 5 --repeats 2 --study" in again


@pytest.mark.parametrize("letters", range(1, 9))
def test_caveats_fit_into_a_terminal_of_80_columns(letters: int) -> None:
    """Long caveats are broken into lines of at most 80 characters, whatever their words."""
    warning = " ".join(["x" * letters] * 60)
    text = text_of(replace(recommend(*finished_study(), MEASURED), warnings=(warning,)))
    assert max(map(len, text.splitlines())) <= 80
