"""Effects of choices: what they rest on, and which are shown first."""

from __future__ import annotations

from dataclasses import replace

from tests.support.planted_study import ADAM, EXPONENTIAL, LAST, finished_study
from trainstack.search.evidence.effects import Effect, Kind, by_evidence, effects
from trainstack.spaces.references import CHAPTER_DEFAULT


def effect(axis: str, **given: object) -> Effect:
    """Return a made-up effect."""
    kind = Kind.PAIRED if "n_pairs" in given else Kind.OBSERVATIONAL
    return Effect(axis, "one", "other", 0.1, **{"kind": kind, **given})


def test_an_effect_tells_the_trials_that_it_rests_on() -> None:
    """Without pairs they are counted for both choices, and the fewer count; an axis without
    alternative rests on nothing."""
    _, runs = finished_study(stacks=(CHAPTER_DEFAULT, ADAM, LAST, EXPONENTIAL), replicates=0)
    last = next(run for run in runs if run.stack == LAST)
    runs = [*runs, replace(last, number=90), replace(last, number=91, value=None)]
    found = {e.axis: e for e in effects(CHAPTER_DEFAULT, runs, 1.0)}
    assert (found["dropout"].n_trials, found["dropout"].evidence) == (2, "2 trials")
    assert (found["optimizer"].n_trials, found["optimizer"].evidence) == (1, "1 trial")
    assert (found["batch_size"].n_trials, found["batch_size"].evidence) == (0, "")
    assert [e.axis for e in by_evidence(found.values())] == ["dropout"]


def test_effects_with_the_most_evidence_come_first() -> None:
    """Pairs before trials, many before few; what rests on a single run is not shown."""
    rows = [
        effect("units", n_trials=1),
        effect("dropout", n_trials=2),
        effect("schedule", n_trials=30),
        effect("clipping", n_pairs=1),
        effect("optimizer", n_pairs=2, ci95=(0.0, 0.2)),
        Effect("penalty", "none"),
        effect("activation", n_pairs=5, ci95=(0.0, 0.2)),
    ]
    shown = [e.axis for e in by_evidence(rows)]
    assert shown == ["activation", "optimizer", "schedule", "dropout"]
