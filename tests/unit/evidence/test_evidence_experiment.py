"""The designed experiment for claims: its planned runs and its verdicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.planted_study import Planted, made_up_spec
from trainstack.search.claims.experiment import (
    RATIO,
    WIDEST,
    arms,
    asked,
    choice,
    constraints,
    next_runs,
    run_counts,
)
from trainstack.search.claims.findings import findings, text_of
from trainstack.search.claims.table import CLAIMS
from trainstack.search.claims.types import Claim
from trainstack.search.evidence.ablation import TUNING_INDEX
from trainstack.search.evidence.planned_run import Planned, confirmation_seed
from trainstack.search.json_values import json_safe
from trainstack.search.records import Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError
from trainstack.spaces.optimizers import OPTIMIZERS

# Every optimizer's usual rate is its best, so tuning tries only three.
QUIET = Planted(
    deviation=1e-4, rates={name: row.parameters[0].default for name, row in OPTIMIZERS.items()}
)


def spec_for(*ids: str, **changes: Any) -> StudySpec:
    """A study that tests some claims."""
    return made_up_spec(**{"trials": 0, "experiment": ids, **changes})


def trained(
    spec: StudySpec, planted: Planted = QUIET, includes: Callable[[Planned], bool] = lambda _: True
) -> list[Run]:
    """All runs planned by the experiment, trained as planted."""
    runs: list[Run] = []
    while wanted := [planned for planned in next_runs(spec, runs) if includes(planned)]:
        runs += [ran(planted, p, len(runs) + k) for k, p in enumerate(wanted)]
    return runs


def ran(planted: Planted, wanted: Planned, number: int) -> Run:
    """A run, trained as planted."""
    run = planted.run(wanted.stack, wanted.seed, number, wanted.seed_index, wanted.label)
    return replace(run, stack_id=wanted.stack_id, condition=wanted.condition)


def finding_of(planted: Planted, claim: str = "C7", **changes: Any) -> dict[str, Any]:
    """The experiment's result for one claim."""
    spec = spec_for(claim, **changes)
    return json_safe(findings(spec, trained(spec, planted)))["claims"][0]


@pytest.mark.parametrize(
    ("effect", "deviation", "word"),
    [
        (-0.2, 0.01, "supported"),
        (0.2, 0.01, "contradicted"),
        (0.0, 0.001, "equivalent"),
        (0.0, 0.2, "no evidence"),
    ],
)
def test_the_word_follows_what_was_planted(effect: float, deviation: float, word: str) -> None:
    """Momentum planted better, worse, equal and hidden by noise gives the four verdicts."""
    row = finding_of(Planted(effects={"optimizer": {"momentum": effect}}, deviation=deviation))
    assert row["word"] == word
    assert row["n_pairs"] == 5
    low, high = row["ci95"]
    assert low <= row["effect"] <= high
    if deviation < 0.1:
        assert row["effect"] == pytest.approx(effect, abs=3 * deviation)


def test_at_least_as_good_means_within_the_margin() -> None:
    """Nadam equal to Adam supports C11, although it is not `better`."""
    spec = spec_for("C11")
    row = json_safe(findings(spec, trained(spec, Planted(deviation=0.001))))["claims"][0]
    assert row["contrasts"][0]["word"] == "supported"


def test_the_rate_is_tuned_on_a_seed_that_makes_no_pairs() -> None:
    """Rates are tuned on one seed and pairs trained on others, the same for every arm."""
    spec = spec_for("C7", replicates=4)
    runs = trained(spec)
    tuning = {r.seed for r in runs if r.seed_index == TUNING_INDEX}
    assert tuning == {confirmation_seed(spec.seed, TUNING_INDEX)}
    seeds: dict[str | None, set[int]] = {}
    for run in runs:
        if run.seed_index != TUNING_INDEX:
            seeds.setdefault(run.label, set()).add(run.seed)
    expected = {confirmation_seed(spec.seed, j) for j in range(4)}
    assert seeds == {arm.label: expected for arm in arms(["C7"])}
    assert not tuning & expected


@pytest.mark.parametrize("power", [-WIDEST, -2, 0, 1, WIDEST])
def test_tuning_finds_the_best_rate(power: int) -> None:
    """Each arm runs with its planted best rate, even beyond the first three."""
    usual = {a.stack["optimizer"]: a.stack["optimizer.learning_rate"] for a in arms(["C7"])}
    best = {name: rate * RATIO**power for name, rate in usual.items()}
    spec = spec_for("C7")
    runs = trained(spec, replace(QUIET, rates=best))
    rates = {
        r.stack["optimizer"]: r.stack["optimizer.learning_rate"]
        for r in runs
        if r.stack and r.seed_index != TUNING_INDEX
    }
    assert rates == pytest.approx(best)
    least, most = run_counts(["C7"], spec.replicates)
    assert least <= len(runs) <= most


def test_an_arm_that_diverges_at_high_rates_is_tuned_downwards() -> None:
    """If training diverges, lower rates are tried until one learns."""
    spec = spec_for("C7")
    sgd = next(arm for arm in arms(["C7"]) if arm.stack["optimizer"] == "sgd")
    diverging = frozenset(sgd.at(power).stack_id for power in (-1, 0, 1))
    best = sgd.at(-2)["optimizer.learning_rate"]
    runs = trained(spec, replace(QUIET, diverge=diverging, rates={"sgd": best}))
    rows = {row["label"]: row for row in json_safe(findings(spec, runs))["arms"]}
    assert rows["SGD"]["learning_rate"] == pytest.approx(best)


def test_an_arm_that_always_diverges_ends_the_experiment_in_words() -> None:
    """If an arm learns at no rate, the experiment ends and names the arm."""
    spec = spec_for("C7")
    sgd = next(arm for arm in arms(["C7"]) if arm.stack["optimizer"] == "sgd")
    never = frozenset(sgd.at(power).stack_id for power in range(-WIDEST, WIDEST + 1))
    runs = trained(spec, replace(QUIET, diverge=never))
    row = json_safe(findings(spec, runs))["claims"][0]
    assert row["word"] == "no evidence"
    assert row["reason"] == "SGD ended with a finite loss at no learning rate tried"


def test_the_plan_hangs_on_the_runs_alone() -> None:
    """The planned runs do not depend on the order in which earlier ones ended or are listed."""
    spec = spec_for("C7", "C8")
    whole = trained(spec)
    first: list[Run] = []
    while wanted := next_runs(spec, list(reversed(first))):
        last = wanted[-1]  # one at a time, from the end
        first.append(ran(QUIET, last, len(first)))
    cells = [{(r.stack_id, r.seed_index) for r in runs} for runs in (whole, first)]
    assert cells[0] == cells[1]
    assert len(first) == len(whole) == len(cells[0])


def test_claims_share_arms() -> None:
    """SGD with momentum is trained once for both claims that compare it."""
    apart = sum(len(trained(spec_for(name))) for name in ("C7", "C8"))
    assert len(trained(spec_for("C7", "C8"))) == apart - (apart // 4)


def test_a_voided_run_is_asked_for_again() -> None:
    """Only a voided run is planned again."""
    spec = spec_for("C7")
    *runs, last = trained(spec)
    (again,) = next_runs(spec, [*runs, replace(last, outcome="voided")])
    assert (again.stack, again.seed_index) == (last.stack, last.seed_index)


def test_interrupted_before_the_pairs_gives_a_reason() -> None:
    """During tuning the claim has no evidence, and the reason names the tuning."""
    spec = spec_for("C7")
    runs = trained(spec, includes=lambda p: p.seed_index == TUNING_INDEX)
    early, late = (findings(spec, some).claims[0].finding.judgement for some in (runs[:2], runs))
    assert early.reason.endswith("was not tuned to the end")
    assert late.reason == "too few runs ended for a pair"


def test_an_untestable_claim_states_its_requirement(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim without arms plans no run and names its requirement."""
    monkeypatch.setitem(CLAIMS, "C99", Claim("C99", "it rains", "weather", needs="a window"))
    spec = spec_for("C99")
    assert next_runs(spec, []) == []
    row = json_safe(findings(spec, []))["claims"][0]
    assert (row["word"], row["reason"]) == ("no evidence", "needs a window")


def test_runs_under_a_condition_are_pairs_of_equal_stacks() -> None:
    """Both arms of C22 train equal stacks with equal seeds, and remain distinguished."""
    spec = spec_for("C22", replicates=3)
    runs = trained(spec)
    known = {(run.stack_id, run.seed_index) for run in runs}
    assert len(known) == len(runs) == 2 * (3 + 3)
    stacks = {(run.stack, run.seed) for run in runs if run.seed_index != TUNING_INDEX}
    assert len(stacks) == 3
    first, second = json_safe(findings(spec, runs))["arms"]
    assert first["stack"] == second["stack"]
    few = {"labels": 100}
    assert first["condition"] == {**few, "pretrained": "autoencoder"}
    assert second["condition"] == few


@pytest.mark.parametrize(
    ("deep", "shallow", "words"),
    [
        (0.5, 0.1, ["supported", "supported"]),
        (0.3, 0.3, ["supported", "equivalent"]),
        (0.1, 0.5, ["supported", "contradicted"]),
    ],
)
def test_more_so_when_deeper(deep: float, shallow: float, words: list[str]) -> None:
    """The cost of a wrong initializer is compared between depths, within seeds."""

    def costs(run: Run) -> Run:
        assert run.stack is not None
        harm = deep if len(run.stack.units) > 2 else shallow
        return replace(run, value=(run.value or 0.0) + harm * bool(run.condition))

    spec, runs = spec_for("C19"), list[Run]()
    while wanted := next_runs(spec, runs):
        runs += [costs(ran(QUIET, p, len(runs) + k)) for k, p in enumerate(wanted)]
    row = json_safe(findings(spec, runs))["claims"][0]
    parts = row["contrasts"]
    assert [part["word"] for part in parts] == 2 * words
    assert {part["n_pairs"] for part in parts} == {5}
    assert parts[1]["effect"] == pytest.approx(shallow - deep, abs=0.01)
    assert "beyond what" in parts[1]["reason"]


def test_data_that_cannot_serve_a_condition_ends_in_its_cause() -> None:
    """If the first runs are infeasible no more are planned, and the claim gives the reason."""
    spec, runs, why = spec_for("C21"), list[Run](), "a related task needs 4 classes"
    while wanted := next_runs(spec, runs):
        none = {"outcome": "infeasible", "value": None, "curve": (), "cause": why}
        runs += [replace(ran(QUIET, p, len(runs) + k), **none) for k, p in enumerate(wanted)]
    assert len(runs) == 6
    row = json_safe(findings(spec, runs))["claims"][0]
    assert (row["word"], row["reason"]) == ("no evidence", why)


def test_monte_carlo_dropout_is_decided_by_the_look_at_the_test_set() -> None:
    """For C17 the tuned stack with dropout is measured; other claims need no measurement."""
    spec = spec_for("C17")
    runs = trained(spec)
    look = choice(spec, runs)
    assert look is not None
    assert look.stack["dropout"] == "all"
    assert look.baseline == look.stack
    assert choice(spec, []) is None
    assert choice(spec_for("C7"), trained(spec_for("C7"))) is None


def test_figures_that_workers_seldom_measure_are_asked_for() -> None:
    """Latency and sparsity are measured only for claims about them."""
    assert constraints(["C7", "C1"]) == ()
    assert constraints(["C24"]) == ("nonzero_fraction<=1",)
    assert constraints(["C25"]) == ("latency_ms<=1e+09",)


def test_which_claims_are_meant() -> None:
    """Claims are selected by ids in any case and order, all, or those with two arms; an unknown id
    is refused with the nearest."""
    assert asked(["c8", "C7"]) == ("C7", "C8")
    assert asked(["all"]) == tuple(CLAIMS)
    assert all(len(arms([name])) == 2 for name in asked([]))
    with pytest.raises(RequestError, match=r"'C2O' is not known; did you mean 'C2"):
        asked(["C2O"])


def test_intervals_hold_for_all_claims_together() -> None:
    """The more claims are tested, the wider each interval."""
    planted = Planted(deviation=0.02)
    widths = []
    # Unlike for losses, other arms do not contribute to the spread of this figure.
    for ids in (("C6",), ("C6", "C7", "C8", "C10")):
        spec = spec_for(*ids)
        row = json_safe(findings(spec, trained(spec, planted)))["claims"][0]
        widths.append(row["ci95"][1] - row["ci95"][0])
    assert widths[1] > widths[0]


def test_the_text_fits_a_terminal_and_has_every_verdict() -> None:
    """Each claim is listed with its verdict and comparisons, in lines of 79 characters."""
    spec = spec_for("C3", "C7", "C19", "C21")
    found = findings(spec, trained(spec))
    text = text_of(found)
    assert max(map(len, text.splitlines())) <= 79
    for row in json_safe(found)["claims"]:
        assert f"{row['id']}  {row['word']}" in text
    assert "SGD with momentum against SGD" in " ".join(text.split())


def test_a_spec_with_an_experiment_survives_json() -> None:
    """The claims are pinned with the study, and other claims are a difference."""
    spec = spec_for("C7", "C8")
    assert StudySpec.from_json(spec.to_json()) == spec
    assert spec.differences(spec_for("C7"))
