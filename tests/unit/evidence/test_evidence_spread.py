"""The spread of a table, and moderation between its stacks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from trainstack.search.evidence.variance import Spread, _layout, _prior, spread


def table_of(losses: np.ndarray) -> dict[str, dict[int, float]]:
    """Losses [stacks, seeds] as a table."""
    return {str(k): dict(enumerate(row)) for k, row in enumerate(losses.tolist())}


def test_pooled_spread_is_the_two_way_error_of_a_complete_table() -> None:
    """For a complete table the pooled variance is the textbook's mean square for error."""
    y = np.random.default_rng(0).normal(size=(4, 5))
    left = y - y.mean(axis=1, keepdims=True) - y.mean(axis=0) + y.mean()
    found = spread(table_of(y))
    assert found is not None
    assert found.variance == pytest.approx((left**2).sum() / 12)
    assert found.freedom == 12


def test_what_a_seed_gives_to_all_is_no_spread() -> None:
    """Adding a number to all losses of a seed, or of a stack, changes nothing."""
    y = np.random.default_rng(1).normal(size=(5, 5))
    shifted = y + 100.0 * np.arange(5) + 7.0 * np.arange(5)[:, None]
    first, second = spread(table_of(y)), spread(table_of(shifted))
    assert first is not None
    assert second is not None
    assert second.variance == pytest.approx(first.variance)
    assert second.rows.keys() == first.rows.keys()


def test_a_stack_with_one_loss_has_no_spread() -> None:
    """A row with one loss, and a table of such rows, have no spread."""
    y = np.random.default_rng(2).normal(size=(3, 4))
    assert spread({**table_of(y), "lonely": {0: 99.0}}) == spread(table_of(y))
    assert spread({"a": {0: 1.0}, "b": {0: 2.0}}) is None
    assert spread({}) is None


def test_two_stacks_have_the_paired_tests_spread() -> None:
    """With two stacks twice the pooled variance is that of their differences."""
    y = np.random.default_rng(3).normal(size=(2, 6))
    found = spread(table_of(y))
    assert found is not None
    assert 2.0 * found.variance == pytest.approx(np.var(y[0] - y[1], ddof=1))
    assert not found.rows


def test_equally_noisy_stacks_share_one_spread() -> None:
    """If rows are equally noisy, every stack has about the pooled spread, and never less."""
    y = np.random.default_rng(5).permuted(np.tile([-2.0, -1.0, 0.0, 1.0, 2.0], (6, 1)), axis=1)
    found = spread(table_of(y))
    assert found is not None
    for name in map(str, range(6)):
        assert found.variance**0.5 <= found.deviation(name) < 1.1 * found.variance**0.5


def test_a_clearly_noisier_stack_stands_for_itself() -> None:
    """A row with twenty times the noise has its own variance, and does not affect the others'."""
    y = np.random.default_rng(6).normal(size=(8, 5))
    noisy = np.vstack([y, 20.0 * np.random.default_rng(7).normal(size=(1, 5))])
    calm, found = spread(table_of(y)), spread(table_of(noisy))
    assert calm is not None
    assert found is not None
    own, freedom = found.rows["8"]
    assert own == pytest.approx(np.var(noisy[8] - y.mean(axis=0), ddof=1), rel=0.05)
    assert freedom == 4
    assert found.variance == pytest.approx(calm.variance, rel=0.2)


def test_each_stacks_spread_is_unbiased() -> None:
    """Over 2,000 tables of stacks with 1, 2, 3 and 4 times the noise and a missing run, the mean of
    each stack's variance is the true one."""
    rng = np.random.default_rng(8)
    layout = _layout(((0, 1, 2, 3, 4),) * 3 + ((0, 1, 2, 4),))
    assert layout is not None
    scale = np.repeat([1.0, 2.0, 3.0, 4.0], [5, 5, 5, 4])
    losses = scale * rng.normal(size=(2000, 19))
    squares = (losses @ layout.left) ** 2 @ layout.of_row
    assert (squares @ layout.unmix).mean(axis=0) == pytest.approx([1.0, 4.0, 9.0, 16.0], rel=0.1)


def test_the_prior_of_unequal_spreads_is_found() -> None:
    """Both parameters are estimated from 400 variances of an inverse χ² with 6 degrees of freedom
    around 4, each observed with 4 degrees of freedom."""
    rng = np.random.default_rng(4)
    true = stats.invgamma.rvs(3.0, scale=3.0 * 4.0, size=400, random_state=rng)
    found = _prior(true * rng.chisquare(4, size=400) / 4.0, np.full(400, 4.0))
    assert found is not None
    centre, worth = found
    assert worth == pytest.approx(6.0, rel=0.3)
    assert centre == pytest.approx(4.0, rel=0.15)


def test_stacks_without_any_noise_have_a_spread_of_zero() -> None:
    """Equal losses give no variance and no warning, in any rows."""
    found = spread(table_of(np.ones((4, 3))))
    assert found is not None
    assert found.of({("0", 0): 1.0, ("1", 0): -1.0})[0] == pytest.approx(0.0, abs=1e-20)


def test_stacks_that_differ_have_satterthwaites_freedom() -> None:
    """The difference of a calm and a clearly noisier stack has the sum of their variances, and
    degrees of freedom between the noisy stack's and the pooled ones."""
    found = Spread(variance=1.0, freedom=28, rows={"b": (9.0, 4.0)})
    variance, freedom = found.of({("a", j): 0.2 for j in range(5)} | {("b", 0): 1.0})
    assert variance == pytest.approx(0.2 + 9.0)
    assert freedom == pytest.approx(9.2**2 / (0.2**2 / 28 + 9.0**2 / 4))
