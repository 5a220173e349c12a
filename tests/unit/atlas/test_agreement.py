"""How often the test part contradicts a gain that was seen on validation parts."""

from __future__ import annotations

from benchmarks.atlas.agreement import Gap, contradicted, gaps
from benchmarks.atlas.records import BASELINE, Run


def run(name: str, seed: int, valid: float, test: float) -> Run:
    """Return a recorded run with these losses."""
    figures = {"valid": {"loss": valid}, "test": {"loss": test}}
    curve: list[float | None] = [valid]
    return Run("t", name, seed, {}, 1, "completed", 1, curve, curve, 10, (0.0, 0.0), **figures)


def test_a_gap_is_a_share_of_the_defaults_mean_loss() -> None:
    """Gaps are differences of the same seed over the default's mean, for stacks with all seeds."""
    base = [run(BASELINE, seed, valid, 2.0) for seed, valid in enumerate((1.0, 2.0, 3.0))]
    other = [run("a", seed, valid, 2.2) for seed, valid in enumerate((0.8, 2.0, 3.4))]
    (gap,) = gaps([*base, *other, run("b", 0, 1.0, 1.0)])
    assert [round(x, 9) for x in gap.valid] == [-0.1, 0.0, 0.2]
    assert round(gap.test, 9) == 0.1


def test_only_gains_on_the_chosen_number_of_splits_count() -> None:
    """Each choice of as many splits is a case, and a gain counts if it exceeds the least one."""
    found = [Gap("t", (-0.2, -0.1, 0.4), 0.1), Gap("t", (-0.2, -0.2, -0.2), -0.1)]
    assert contradicted(found, 1, 0.0) == (2, 5)
    assert contradicted(found, 1, 0.15) == (1, 4)
    assert contradicted(found, 2, 0.0) == (1, 4)
    assert contradicted(found, 3, 0.0) == (0, 1)
