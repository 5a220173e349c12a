"""The average and the ensemble on rows that none of their networks was trained on, planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from tests.support.studies import DATA, spec_of
from trainstack.search.spec import DataSpec
from trainstack.workers.tasks.compared import compared
from trainstack.workers.tasks.validated import Validated, out_of_bag

pytestmark = pytest.mark.keras

QUANTITY = spec_of(data=DataSpec("made up", None, "regression", "f00d", 4, ()))
CLASSES = spec_of(data=DATA)
HELD = 0.2
Answers = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Planted:
    """Runs that hold out a fifth of the rows each, and what each network answers.

    Attributes:
        runs: Validation rows of the runs.
        searched: Those of a search trial of the same stack.
        ensemble: The same rows, predicted by another model.
    """

    runs: list[Validated]
    searched: Validated
    ensemble: Validated


def planted(
    rng: np.random.Generator, y: np.ndarray, network: Answers, other: Answers, runs: int
) -> Planted:
    """Return splits of rows and predictions for their validation parts."""

    def part(answers: np.ndarray, rows: np.ndarray) -> Validated:
        return Validated(rows, y[rows], np.ones(len(rows)), answers[rows])

    def split() -> np.ndarray:
        return np.sort(rng.choice(len(y), int(HELD * len(y)), replace=False))

    rows = split()
    each = [part(network(), split()) for _ in range(runs)]
    return Planted(each, part(network(), rows), part(other(), rows))


def of_numbers(seed: int, rows: int, spread: float, ensemble: float, runs: int = 5) -> Planted:
    """Plant networks with an error in common and one of their own, and an ensemble's error."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=rows)
    common = y + rng.normal(0, 0.5, rows)

    def network() -> np.ndarray:
        return common + rng.normal(0, spread, rows)

    def other() -> np.ndarray:
        return common + rng.normal(0, ensemble, rows)

    return planted(rng, y, network, other, runs)


def test_the_average_has_the_gain_of_a_mean_of_two() -> None:
    """Of planted errors it is the common one and half of the networks' own, though few rows are
    held out twice; the ensemble has its own error."""
    found = of_numbers(1, 200_000, 0.4, 0.3)
    scores = compared(QUANTITY, found.runs, [found.searched], found.ensemble)
    assert scores["average"] == pytest.approx((0.25 + 0.16 / 2) ** 0.5, rel=0.005)
    assert scores["ensemble"] == pytest.approx((0.25 + 0.09) ** 0.5, rel=0.01)


def test_the_gain_is_that_of_the_mean_of_probabilities() -> None:
    """For classes it is what the log loss of two fresh networks' mean probability gains."""
    rng = np.random.default_rng(2)
    rows = 600_000
    logits = rng.normal(0, 1.5, (rows, 2))
    y = (rng.random(rows) < softmax(logits, axis=1)[:, 1]).astype(int)

    def network() -> np.ndarray:
        return softmax(logits + rng.normal(0, 0.8, logits.shape), axis=1)

    found = planted(rng, y, network, network, runs=5)
    scores = compared(CLASSES, found.runs, [found.searched], found.ensemble)
    fresh = [network(), network()]
    one, mean = log_loss(y, fresh[0]), log_loss(y, np.mean(fresh, axis=0))
    assert scores["average"] == pytest.approx(mean, abs=0.15 * (one - mean))


@pytest.mark.parametrize(("ensemble", "better"), [(0.05, "ensemble"), (0.4, "average")])
def test_the_better_one_is_found_on_few_rows(ensemble: float, better: str) -> None:
    """With a thousand rows and five runs it is right in nearly all of a hundred studies."""
    right = 0
    for seed in range(100):
        found = of_numbers(seed, 1000, 0.4, ensemble)
        scores = compared(QUANTITY, found.runs, [found.searched], found.ensemble)
        right += min(scores, key=lambda kind: scores[kind]) == better
    assert right >= 90


def test_without_rows_in_common_there_is_no_metric() -> None:
    """Folds of one division share no row: without a search trial nothing is said."""
    found = of_numbers(0, 100, 0.4, 0.3, runs=2)
    first, second = found.runs
    apart = [first, _shifted(second, 1000)]
    assert compared(QUANTITY, apart, [], found.ensemble) == {}
    assert compared(QUANTITY, [], [], found.ensemble) == {}


def _shifted(part: Validated, by: int) -> Validated:
    return Validated(part.rows + by, part.y, part.w, part.p)


def test_a_row_that_several_runs_hold_out_gets_their_mean() -> None:
    """Rows come once and in order; without a run's predictions there are none."""

    def part(rows: list[int], p: list[float]) -> Validated:
        y: Any = np.array(rows, float) * 10
        return Validated(np.array(rows), y, np.ones(len(rows)), np.array(p))

    found = out_of_bag([part([3, 5], [1.0, 2.0]), part([5, 1], [4.0, 7.0])])
    assert found is not None
    assert found.rows.tolist() == [1, 3, 5]
    assert found.p.tolist() == [7.0, 1.0, 3.0]
    assert found.y.tolist() == [10.0, 30.0, 50.0]
    assert out_of_bag([part([3], [1.0]), None]) is None
