"""Every claim that paired runs can judge follows what was planted. A new one gets a line here."""

from __future__ import annotations

import pytest

from search.evidence.claims import CLAIMS, CONTRADICTED, SUPPORTED, Context, claims
from search.evidence.effects import NO_EVIDENCE
from search.evidence.planted import Planted
from spaces.stack import Stack

SEEDS = 6

# Claim → an axis, and the choice that the claim says is better than the other.
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
}


def judged(claim: str, effect: float) -> dict:
    """Return what is said of a claim when its better choice adds `effect` to the loss."""
    axis, better, worse = PAIRS[claim]
    planted = Planted(effects={axis: {better: effect}}, deviation=0.01)
    stacks = [Stack.of(**{axis: better}), Stack.of(**{axis: worse})]
    runs = [
        planted.run(stack, seed=100 + k, number=len(stacks) * k + place, seed_index=k)
        for place, stack in enumerate(stacks)
        for k in range(SEEDS)
    ]
    return {row["id"]: row for row in claims(Context(runs, scale=planted.base))}[claim]


def test_every_claim_about_one_axis_has_a_pair() -> None:
    """The list above names every claim that `one_axis` judges, and no other."""
    judges = {name: getattr(claim.judge, "__qualname__", "") for name, claim in CLAIMS.items()}
    assert set(PAIRS) == {name for name, made in judges.items() if made.startswith("one_axis.")}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("effect", "word"), [(-0.2, SUPPORTED), (0.2, CONTRADICTED)])
def test_a_claim_follows_what_was_planted(name: str, effect: float, word: str) -> None:
    """The claim is supported where its choice is truly better, contradicted where it is worse."""
    row = judged(name, effect)
    assert row["word"] == word
    assert row["n_pairs"] == SEEDS
    assert row["effect"] == pytest.approx(effect, abs=0.03)
    low, high = row["ci95"]
    assert low <= effect <= high


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_without_runs_has_no_evidence(name: str) -> None:
    """Nothing is said of a claim without runs, and why not is said."""
    row = {row["id"]: row for row in claims(Context([], scale=1.0))}[name]
    assert (row["word"], row["effect"], row["n_pairs"]) == (NO_EVIDENCE, None, 0)
    assert row["reason"]
