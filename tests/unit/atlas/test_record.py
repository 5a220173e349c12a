"""Which runs a recording makes next."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from benchmarks.atlas.record import SEEDS, left
from benchmarks.atlas.records import BASELINE
from trainstack.search.data.load import load


def wine() -> Any:
    """A bench's data set, without its device."""
    dataset = load("wine")
    return SimpleNamespace(dataset=dataset, spec=SimpleNamespace(data=dataset.describe()))


def test_a_recording_goes_on_where_it_stopped() -> None:
    """Every stack is first trained with the first seed; what is recorded is not asked again."""
    asked = left(wine(), [], points=4)
    assert {seed for _, _, seed in asked} == {SEEDS[0]}
    recorded = [{"name": name, "seed": seed} for name, _, seed in asked[:5]]
    assert left(wine(), recorded, points=4) == asked[5:]


def test_the_best_stacks_and_the_baseline_get_the_other_seeds() -> None:
    """After the first seed the best fifth follows, and always the baseline of all comparisons."""
    names = [name for name, _, _ in left(wine(), [], points=4)]
    worst_is_baseline = sorted(names, key=lambda name: (name == BASELINE, name))
    found = [
        {"name": name, "seed": SEEDS[0], "valid": {"loss": float(place)}, "test": {}}
        for place, name in enumerate(worst_is_baseline)
    ]
    asked = left(wine(), found, points=4)
    best = worst_is_baseline[: round(len(names) / 5)]
    assert {name for name, _, _ in asked} == {BASELINE, *best}
    assert [seed for name, _, seed in asked if name == BASELINE] == list(SEEDS[1:])


def test_given_stacks_get_the_given_seeds() -> None:
    """Only the named stacks are trained, with those of their seeds that they do not have."""
    found = [{"name": BASELINE, "seed": SEEDS[1]}]
    asked = left(wine(), found, points=0, named=([BASELINE], SEEDS))
    assert [(name, seed) for name, _, seed in asked] == [(BASELINE, SEEDS[0]), (BASELINE, SEEDS[2])]
