"""The chapter's claims over several data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.atlas.claims import document_of, recorded, text_of
from tests.support.planted_study import Planted, made_up_spec
from trainstack.search.claims.elsewhere import TABLE, elsewhere, pool
from trainstack.search.claims.experiment import next_runs
from trainstack.search.claims.table import CLAIMS
from trainstack.search.records import Run
from trainstack.spaces.optimizers import OPTIMIZERS

RATES = {name: row.parameters[0].default for name, row in OPTIMIZERS.items()}


def ran(planted: Planted, replicates: int = 3) -> dict[str, list[list[float]]]:
    """The recorded differences of C7 on one planted data set."""
    spec = made_up_spec(trials=0, experiment=("C7",), replicates=replicates)
    runs: list[Run] = []
    while wanted := next_runs(spec, runs):
        for plan in wanted:
            run = planted.run(plan.stack, plan.seed, len(runs), plan.seed_index, plan.label)
            runs.append(replace(run, stack_id=plan.stack_id, condition=plan.condition))
    return document_of("made-up", spec, runs)["claims"]


def test_differences_are_recorded_as_shares_of_the_second_choice() -> None:
    """A first choice whose loss is 0.4 where the second's is 0.5 is recorded as -0.2."""
    (contrast,) = CLAIMS["C7"].contrasts
    (axis,) = contrast.axes
    effects = {axis: {contrast.first[axis]: -0.1}}
    quiet = Planted(effects=effects, base=0.5, deviation=1e-9, rates=RATES)
    (gaps,) = ran(quiet)["C7"]
    assert gaps == pytest.approx([-0.2] * 3, rel=1e-3)


def pooled_word(means: Sequence[float], spread: float = 0.001) -> tuple[str, int, float | None]:
    """The word on C7, the data sets and the share of them, for mean effects of three pairs each."""
    gaps = {f"d{k}": [[m - spread, m, m + spread]] for k, m in enumerate(means)}
    found = pool(CLAIMS["C7"], gaps)
    return found.word, found.data_sets, found.share


def test_the_word_follows_the_effects_over_data_sets() -> None:
    """Equal signs decide; opposite ones do not; differences within the margin are equivalent."""
    assert pooled_word([-0.1, -0.12, -0.09, -0.11]) == ("supported", 4, 1.0)
    assert pooled_word([0.1, 0.12, 0.09, 0.11]) == ("contradicted", 4, 0.0)
    assert pooled_word([-0.3, 0.2, -0.1, 0.4]) == ("no evidence", 4, 0.5)
    assert pooled_word([-0.001, 0.001, 0.0, 0.0005]) == ("equivalent", 4, 0.5)


def test_a_half_and_a_double_weigh_the_same() -> None:
    """Half the figure on two data sets and twice the figure on two others are no effect."""
    half, double = [[-0.5] * 3], [[1.0] * 3]
    found = pool(CLAIMS["C7"], {"a": half, "b": double, "c": half, "d": double})
    assert found.effect == pytest.approx(0.0, abs=1e-9)


def test_an_interval_is_students_of_the_logarithms_of_ratios() -> None:
    """The ends are those of a t interval by hand, as shares; the data sets have equal weights."""
    means = np.array([-0.3, -0.1, -0.25, -0.05, -0.2])
    found = pool(CLAIMS["C7"], {str(k): [[m - 0.01, m + 0.01]] for k, m in enumerate(means)})
    logs = np.log1p(means)
    half = stats.t.ppf(0.975, 4) * logs.std(ddof=1) / np.sqrt(5)
    assert found.effect == pytest.approx(np.expm1(logs.mean()))
    assert found.ci95 == pytest.approx(np.expm1([logs.mean() - half, logs.mean() + half]))


def test_differences_of_a_figure_that_may_be_negative_are_not_ratios() -> None:
    """A gap that changes its sign has a share below -1, whose mean is that of the shares."""
    shares = [[[-1.5] * 2, [-1.5] * 2], [[-0.5] * 2, [-0.5] * 2], [[-1.0] * 2, [-1.0] * 2]]
    found = pool(CLAIMS["C6"], dict(zip("abc", shares, strict=True)))
    assert found.effect == pytest.approx(-1.0)
    assert found.data_sets == 3


def test_one_data_set_decides_nothing() -> None:
    """Without a second data set there is no interval, however many pairs there are."""
    assert pooled_word([-0.5]) == ("no evidence", 1, 1.0)


def test_the_data_set_is_the_unit() -> None:
    """More pairs on a data set do not narrow an interval that differences between sets widen."""
    few = pool(CLAIMS["C7"], {"a": [[-0.3] * 2], "b": [[-0.1] * 2], "c": [[-0.2] * 2]})
    many = pool(CLAIMS["C7"], {"a": [[-0.3] * 90], "b": [[-0.1] * 90], "c": [[-0.2] * 90]})
    assert few.ci95 == pytest.approx(many.ci95, rel=1e-3)


def test_a_single_pair_does_not_count() -> None:
    """A data set of which one pair is left has no spread."""
    found = pool(CLAIMS["C7"], {"a": [[-0.3]], "b": [[]]})
    assert (found.word, found.data_sets, found.effect) == ("no evidence", 0, None)


def test_the_product_has_what_is_recorded() -> None:
    """The package's table is the one that follows from the recorded experiments."""
    assert TABLE.read_text("utf-8") == text_of(recorded())
    assert [row.id for row in elsewhere()] == [c for c in CLAIMS if c in _ids()]


def _ids() -> set[str]:
    return {row.id for row in elsewhere()}
