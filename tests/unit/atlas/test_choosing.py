"""The choice of a default and of a portfolio from recorded losses."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.atlas.choosing import (
    MOST_REGRET,
    Losses,
    best_default,
    finalists,
    portfolio,
    reached,
)
from benchmarks.atlas.portfolio import text_of
from benchmarks.atlas.records import BASELINE, Run, best_fifth, by_task, lines, runs, write_lines
from trainstack.spaces.portfolio import TABLE


def losses_of(test: list[list[float]], valid: list[list[float]] | None = None) -> Losses:
    """Losses of stacks `s0`, `s1`, … on data sets `d0`, `d1`, …; validation as test by default."""
    table = np.array(test, float)
    data, names = (
        tuple(f"{k}{j}" for j in range(n)) for k, n in zip("ds", table.shape, strict=True)
    )
    checked = table if valid is None else np.array(valid, float)
    return Losses(data, names, checked, table, table)


def test_the_default_has_the_least_mean_regret() -> None:
    """A stack that is second everywhere beats one that is first on one data set and bad on another;
    the scale of a data set's losses does not matter."""
    losses = losses_of([[1.0, 1.1, 3.0], [300.0, 110.0, 100.0]])
    assert losses.names[best_default(losses, losses.names)] == "s1"
    assert losses.names[best_default(losses, ("s0", "s2"))] in ("s0", "s2")
    assert losses.regret[0] == pytest.approx([0.0, np.log(1.1), np.log(3.0)])
    assert losses.regret[1] == pytest.approx([np.log(3.0), np.log(1.1), 0.0])


def test_regret_is_of_loss_and_error_in_halves() -> None:
    """A loss twice the least with the least error has half of the regret of ln 2."""
    losses = replace(losses_of([[1.0, 2.0]]), error=np.array([[3.0, 3.0]]))
    assert losses.regret[0] == pytest.approx([0.0, np.log(2) / 2])


def test_divergence_is_the_most_regret() -> None:
    """A run without a finite loss, and one far above the least, count as much as the bound; no
    wrong answer at all is no infinite advantage."""
    losses = losses_of([[1.0, np.inf, 1e9]])
    assert losses.regret[0] == pytest.approx([0.0, MOST_REGRET, MOST_REGRET])
    assert np.isfinite(replace(losses, error=np.array([[1.0, 0.0, 1.0]])).regret).all()


def test_the_portfolio_takes_what_the_first_stacks_lack() -> None:
    """The second stack is the one that helps where the first is bad, not the second best."""
    losses = losses_of([[1.0, 1.01, 2.0], [1.0, 1.01, 2.0], [2.0, 2.0, 1.0]])
    assert portfolio(losses, 3, (0,)) == [0, 2]


def test_a_portfolio_counts_what_a_search_would_choose() -> None:
    """A stack whose validation loss misleads the choice does not enter."""
    test = [[1.0, 5.0], [1.0, 0.9]]
    valid = [[1.0, 0.5], [1.0, 0.9]]
    assert portfolio(losses_of(test, valid), 2, (0,)) == [0]
    assert reached(losses_of(test, valid), [0, 1]) == pytest.approx(
        np.array([[0.0, np.log(5.0)], [np.log(1 / 0.9), 0.0]])
    )


@settings(max_examples=50, deadline=None)
@given(arrays(float, (4, 6), elements=st.floats(0.1, 10.0)))
def test_each_stack_of_a_portfolio_lowers_the_mean_regret(table: np.ndarray) -> None:
    """With the test losses as validation losses the mean regret falls with each stack, as a direct
    minimum over the stacks so far gives it."""
    losses = losses_of(table.tolist())
    first = best_default(losses, losses.names)
    order = portfolio(losses, 6, (first,))
    means = [losses.regret[:, order[: k + 1]].min(axis=1).mean() for k in range(len(order))]
    assert all(later < earlier for earlier, later in pairwise(means))
    assert order[0] == first
    after = reached(losses, order).mean(axis=0)
    assert after == pytest.approx(means)


def run_of(data: str, name: str, loss: float | None, seed: int = 0, **test: float) -> Run:
    """A recorded run; without a loss it diverged."""
    figures = {} if loss is None else {"loss": loss, **test}
    return Run(
        *(data, name, seed, {"batch_size": 32}, 30, "completed" if figures else "diverged", 1),
        *([loss], [loss], 10, (0.1, 0.2), figures, figures),
    )


def test_losses_are_shares_of_the_chapters_on_the_same_seeds() -> None:
    """A stack missing on a data set is left out, a stack is compared on the seeds that it has, and
    a run that diverged makes its loss infinite."""
    found = [
        *(run_of("a", BASELINE, 2.0, accuracy=0.8), run_of("a", BASELINE, 4.0, 1, accuracy=0.6)),
        *(run_of("a", "x", 1.0, accuracy=0.9), run_of("a", "x", 2.0, 1, accuracy=0.7)),
        *(run_of("a", "y", 1.0, 1, accuracy=0.5), run_of("a", "z", 1.0, accuracy=0.5)),
        *(run_of("b", BASELINE, 1.0, accuracy=0.5), run_of("b", "x", 3.0, accuracy=0.75)),
        run_of("b", "y", None),
    ]
    losses = Losses.of(found, ["a", "b"])
    assert losses.names == (BASELINE, "x", "y")
    assert losses.test.tolist() == [[1.0, 0.5, 0.25], [1.0, 3.0, np.inf]]
    assert losses.error == pytest.approx(np.array([[1.0, 2 / 3, 1.25], [1.0, 0.5, np.inf]]))
    assert losses.without(0).data == ("b",)
    assert Losses.of(found, ["a"], seeds=2).names == finalists(found, ["a"]) == (BASELINE, "x")


def test_a_data_sets_task_is_seen_from_its_figures() -> None:
    """Data sets of either task are kept apart, runs that diverged included."""
    found = [run_of("a", "x", 1.0, accuracy=0.9), run_of("a", "y", None), run_of("b", "x", 1.0)]
    assert by_task(found) == {"classification": found[:2], "regression": found[2:]}


def test_the_best_fifth_is_by_the_first_seeds_validation_loss() -> None:
    """Of ten stacks the two with the lowest loss of seed 0; later seeds do not matter."""
    found = [
        {"name": f"s{k}", "seed": 0, "valid": {"loss": float(10 - k)}, "test": {}} for k in range(9)
    ]
    found += [{"name": "s9", "seed": 0}, {"name": "s0", "seed": 1, "valid": {"loss": 0.0}}]
    assert best_fifth(found) == ["s8", "s7"]


def test_recorded_runs_are_read_as_they_were_written(tmp_path: Path) -> None:
    """What is written is read again, and the same runs give the same bytes."""
    document = {
        **{"name": "x", "seed": 0, "stack": {"batch_size": 32}, "epochs": 30},
        **{"outcome": "completed", "best_epoch": 2, "loss": [1.0, 0.5], "metric": [0.5, 0.9]},
        **{"valid": {"loss": 0.5}, "test": {"loss": 0.6}, "parameters": 9, "seconds": [0.1, 1.0]},
    }
    assert lines(tmp_path, "a") == []
    write_lines(tmp_path, "a", [document])
    first = (tmp_path / "a.jsonl.gz").read_bytes()
    write_lines(tmp_path, "a", lines(tmp_path, "a"))
    assert (tmp_path / "a.jsonl.gz").read_bytes() == first
    (found,) = runs(tmp_path)
    assert (found.data, found.name, found.test["loss"]) == ("a", "x", 0.6)
    assert found.finished


def test_the_products_portfolio_follows_from_the_recorded_runs() -> None:
    """The table in the package is the one that its command writes from the runs in the
    repository."""
    assert TABLE.read_text("utf-8") == text_of(runs())
