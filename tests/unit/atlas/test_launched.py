"""Real searches and their replays are compared by the same figures."""

from __future__ import annotations

from typing import Any

from benchmarks.atlas.launched import KEPT, lines, real, replayed
from trainstack.spaces.references import CHAPTER_DEFAULT

PLANNED = 6


def row(number: int, loss: float, outcome: str = "completed", label: str = "") -> dict[str, Any]:
    """Return a trial of a launch whose loss falls to `loss`, as `trainstack trials` gives it."""
    epochs = PLANNED if outcome == "completed" else PLANNED // 3
    curve = [loss + 0.1 * (PLANNED - k) for k in range(1, epochs + 1)]
    return {
        "number": number,
        "label": label,
        "outcome": outcome,
        "value": curve[-1],
        "curve": curve,
        "seconds": {"total": 1.0 + epochs, "train": float(epochs)},
        "stack": CHAPTER_DEFAULT.to_json(),
        "worker": f"w{number % 2}",
        "planned": PLANNED,
    }


FULL = [row(k, 1.0 + k) for k in range(8)]


def test_a_replay_without_pruning_is_the_launch() -> None:
    """It prunes nothing, finds the same best trial and takes as long as the busiest worker."""
    assert replayed(FULL, "none") == real(FULL)
    assert real(FULL).seconds == 4 * (1.0 + PLANNED)
    assert real(FULL).best == FULL[0]["value"]


def test_a_replay_prunes_what_is_behind_and_never_the_defaults() -> None:
    """Trials that come later and are worse are pruned from the fifth on; the defaults are kept."""
    assert replayed(FULL, "asha").pruned == {4, 5, 6, 7}
    kept = [*FULL[:6], {**FULL[6], "label": KEPT[0]}, {**FULL[7], "label": KEPT[1]}]
    assert replayed(kept, "asha").pruned == {4, 5}


def test_the_table_counts_the_trials_with_the_same_fate() -> None:
    """A launch that pruned one trial less than its replay differs in that one; a trial that drew
    another stack is not compared."""
    pruned = [row(k, 1.0 + k, "pruned" if k > 4 else "completed") for k in range(8)]
    pruned[6]["stack"] = CHAPTER_DEFAULT.but(batch_size=64).to_json()
    *_, line = lines({"concrete-3": {"none": FULL, "asha": pruned}})
    assert line.split(" | ")[:7] == ["| concrete", "3", "8", "7", "6", "3", "4"]
