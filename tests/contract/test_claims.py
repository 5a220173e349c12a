"""The verdict of every claim follows the planted effect. Each claim has a line here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.planted_study import Planted, made_up_spec
from trainstack.search.claims.experiment import Arm, arms, next_runs, sides
from trainstack.search.claims.figures import FIGURES, LOSS
from trainstack.search.claims.findings import findings
from trainstack.search.claims.table import CLAIMS, claims
from trainstack.search.claims.types import Answer, Claim, Context, Judgement
from trainstack.search.evidence.planned_run import Planned
from trainstack.search.json_values import json_safe
from trainstack.search.records import CONFIRMATION, Run
from trainstack.spaces.stack import Stack

SEEDS = 6
EPOCHS = 60

# Claim → an axis, the choice that is better according to the claim, and the other one.
PAIRS = {
    "C1": ("activation", "selu", "elu"),
    "C5": ("normalization", "before", "none"),
    "C7": ("optimizer", "momentum", "sgd"),
    "C8": ("optimizer", "nesterov", "momentum"),
    "C9": ("optimizer", "nadam", "adagrad"),
    "C10": ("optimizer", "rmsprop", "adagrad"),
    "C11": ("optimizer", "nadam", "adam"),
    "C12": ("optimizer", "nesterov", "nadam"),
    "C14": ("schedule", "performance", "constant"),
    "C15": ("dropout", "last", "none"),
    "C16": ("dropout", "last", "all"),
    "C20": ("clipping", "norm", "none"),
    "C26": ("preparation", "standard", "unit"),
}
# Claims judged by more than the loss on one axis, or about some networks only.
OTHERS = {"C2", "C3", "C4", "C6", "C13", "C18", "C19", "C21", "C22", "C24", "C25"}


def judged(claim: str, effect: float) -> Judgement:
    """Return the verdict on a claim when its better choice adds `effect` to the loss."""
    axis, better, worse = PAIRS[claim]
    planted = Planted(effects={axis: {better: effect}}, deviation=0.01)
    stacks = [Stack.of(**{axis: better}), Stack.of(**{axis: worse})]
    runs = [
        # Only the loss: no effect on the curve is planted here.
        replace(planted.run(stack, 100 + k, len(stacks) * k + place, k), curve=(), train_curve=())
        for place, stack in enumerate(stacks)
        for k in range(SEEDS)
    ]
    return {row.id: row.judgement for row in claims(Context(runs, scale=planted.base))}[claim]


def test_every_claim_with_contrasts_is_listed() -> None:
    """The lists above have exactly the claims that a study's pairs can judge."""
    assert PAIRS.keys() | OTHERS == {
        name for name, claim in CLAIMS.items() if claim.contrasts and claim.judge is None
    }


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("effect", "word"), [(-0.2, Answer.SUPPORTED), (0.2, Answer.CONTRADICTED)])
def test_a_claim_follows_what_was_planted(name: str, effect: float, word: str) -> None:
    """A claim is supported if its choice is planted better, contradicted if planted worse."""
    row = judged(name, effect)
    assert row.word == word
    assert row.n_pairs == SEEDS
    assert row.figure == LOSS
    assert row.effect == pytest.approx(effect, abs=0.03)
    assert row.ci95 is not None
    low, high = row.ci95
    assert low <= effect <= high


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_without_runs_has_no_evidence(name: str) -> None:
    """A claim without runs has no evidence, with a reason."""
    row = {row.id: row.judgement for row in claims(Context([], scale=1.0))}[name]
    assert (row.word, row.effect, row.n_pairs) == (Answer.NO_EVIDENCE, None, 0)
    assert row.reason


class Truth:
    """Made-up runs in which each contrast's first arm truly has the lower figure.

    Args:
        claim: Whose contrasts.
        holds: False: the higher one.
    """

    def __init__(self, claim: Claim, holds: bool) -> None:
        self.levels: dict[tuple[str, str], int] = {}
        pairs = [(c.figure, *sides(claim, c)) for c in claim.contrasts if c.beyond is None]
        for _ in pairs:  # enough rounds for the longest chain
            for figure, first, second in pairs:
                low, high = (first, second) if holds else (second, first)
                above = self._level(figure, low) + 1
                here = (figure, self._key(high))
                self.levels[here] = max(above, self._level(figure, high))

    @staticmethod
    def _key(of: Arm | Planned) -> str:
        tuned = [item for item in of.stack.items if item[0] != "optimizer.learning_rate"]
        return repr((tuned, of.condition))

    def _level(self, figure: str, of: Arm | Planned) -> int:
        return self.levels.get((figure, self._key(of)), 0)

    def run(self, planned: Planned) -> Run:
        """Return a run with planted figures and noise of a hundredth of an effect."""
        stack, seed_index = planned.stack, planned.seed_index
        rng = np.random.default_rng([seed_index, int(planned.stack_id, 16)])
        level = {name: self._level(name, planned) for name in FIGURES}
        noisy = {name: level[name] + 0.01 * rng.normal() for name in FIGURES}
        loss = 1.0 + 0.3 * noisy[LOSS]
        fall = 8 * (1 + level["epochs"]) + int(rng.integers(2))
        over = np.arange(1, EPOCHS + 1)
        curve = loss * (1.0 + np.maximum(0.0, 1.0 - over / fall))
        if level["rises"]:
            curve[fall::2] += 0.1 * noisy["rises"]
        gap = 0.1 + 0.1 * noisy["gap"]
        return Run(
            **{"phase": CONFIRMATION, "number": 0, "stack": stack, "stack_id": planned.stack_id},
            **{"seed": 7, "seed_index": seed_index, "outcome": "completed", "value": loss},
            **{"epochs": EPOCHS, "best_epoch": fall, "curve": tuple(curve), "worker": "host-1-2"},
            train_curve=tuple(curve - gap),
            seconds={"train": EPOCHS * (1.0 + noisy["epoch_seconds"])},
            layers={"end": [{"mean": 0.5 + noisy["drift"], "deviation": 1.0}]},
            metrics={name: 1.0 + noisy[name] for name in ("latency_ms", "nonzero_fraction")},
        )


def experiment(name: str, holds: bool) -> dict[str, Any]:
    """Train a claim's own experiment to its end and return its verdict."""
    truth, runs = Truth(CLAIMS[name], holds), []
    spec = made_up_spec(trials=0, replicates=SEEDS, experiment=(name,))
    while wanted := next_runs(spec, runs):
        runs += [truth.run(planned) for planned in wanted]
    return json_safe(findings(spec, runs))["claims"][0]


@pytest.mark.parametrize("name", [name for name, claim in CLAIMS.items() if claim.contrasts])
@pytest.mark.parametrize(
    ("holds", "word"), [(True, Answer.SUPPORTED), (False, Answer.CONTRADICTED)]
)
def test_a_claims_experiment_finds_what_was_planted(name: str, holds: bool, word: str) -> None:
    """Each contrast and the claim get the verdict of the planted figures."""
    row = experiment(name, holds)
    assert row["word"] == word
    assert {part["word"] for part in row["contrasts"]} == {word}
    assert {part["n_pairs"] for part in row["contrasts"]} == {SEEDS}


@pytest.mark.parametrize("name", [name for name, claim in CLAIMS.items() if claim.contrasts])
def test_the_arms_of_a_contrast_differ_in_its_axes_only(name: str) -> None:
    """Both arms are equal except for the compared choices and their own parameters."""
    claim = CLAIMS[name]
    for contrast in claim.contrasts:
        first, second = (arm.stack for arm in sides(claim, contrast))
        follows = ("initializer",) if "activation" in contrast.axes else ()
        differing = {
            key.partition(".")[0]
            for key in {*dict(first.items), *dict(second.items)}
            if first.get(key) != second.get(key)
        }
        assert differing or contrast.under[0] != contrast.under[1]
        assert differing <= {*contrast.axes, *follows, "optimizer"}
        if "optimizer" in differing - {*contrast.axes}:
            assert first["optimizer"] == second["optimizer"]
    assert len(arms([name])) >= 2
