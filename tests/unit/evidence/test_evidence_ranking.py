"""On a conditional space paired effects rank the axes as planted; importances do not."""

from __future__ import annotations

from benchmarks.planted import RANKED, ranked


def test_effects_rank_axes_where_importances_do_not() -> None:
    """With four planted effects on the chapter's space, two of them on axes of half the trials,
    paired effects give the right order, Optuna's PED-ANOVA and fANOVA do not."""
    orders = ranked(seed=0, trials=100, trees=8)
    assert orders.pop("effects") == list(RANKED)
    assert set(orders) == {"PED-ANOVA", "fANOVA"}
    assert list(RANKED) not in orders.values()
