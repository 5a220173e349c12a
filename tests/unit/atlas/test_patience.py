"""Recorded runs with a cyclic schedule as rows of the replay of stopping rules."""

from __future__ import annotations

import pytest

from benchmarks.atlas.patience import replayable
from benchmarks.atlas.records import Run
from benchmarks.stopping import stopped
from trainstack.spaces.references import CHAPTER_DEFAULT, reference
from trainstack.spaces.stack import Stack


def recorded(name: str, stack: Stack, losses: list[float | None]) -> Run:
    """A finished run with these validation losses that took 50 s."""
    figures = {"loss": 0.5}
    place = len(losses), "completed", 1, losses, losses, 9, (1.0, 50.0)
    return Run("planted", name, 0, stack.to_json(), *place, valid=figures, test=figures)


def test_a_run_ends_half_a_plan_after_its_best_epoch() -> None:
    """Of 100 epochs with the best at 30, the replay with half a plan trains 80."""
    losses = [1.0] * 29 + [0.4] + [1.0] * 69 + [None]
    coslog = reference("realmlp-td-s", "classification")
    (row,) = replayable([recorded("averaged/same@1", coslog, losses)], "averaged/same")
    assert row["epoch_seconds"] == pytest.approx(0.5)
    assert stopped(row, coslog.but(stopping="patience", stopping__share=0.5)) == (0.4, 80)


def test_other_schedules_and_names_are_left_out() -> None:
    """Only runs with `coslog` and a name that begins as asked are replayed."""
    coslog = reference("realmlp-td-s", "classification")
    runs = [recorded("chapter-default", CHAPTER_DEFAULT, [1.0]), recorded("other", coslog, [1.0])]
    assert [row["stack"] for row in replayable(runs, "")] == [coslog]
    assert replayable(runs, "averaged/same") == []
