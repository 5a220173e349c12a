"""Rows and parts, over generated tables and requests: nothing is in two parts, nothing leaks."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import (
    RepeatedKFold,
    RepeatedStratifiedKFold,
    TimeSeriesSplit,
    train_test_split,
)

from trainstack.search.data.checks import finish
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.part import Part
from trainstack.search.data.raw import Raw
from trainstack.search.data.row_splits import expanding_windows
from trainstack.search.data.split_keys import SplitKeys
from trainstack.search.data.splitting import Split
from trainstack.spaces.errors import RequestError

KINDS = ("random", "group", "time")
# A failing table is small already; shrinking it takes minutes.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
HUNDRED = settings(max_examples=100, deadline=None, phases=PHASES)
DAY = 86_400.0


@dataclass(frozen=True, eq=False)
class Request:
    """A generated table and how it is split.

    Attributes:
        data: The table; its column `row` has each row's number.
        folds: Number of folds; 1: a single validation part.
        fold: Which of them, from 0.
        seed: Seed of the split.
    """

    data: Dataset
    folds: int
    fold: int
    seed: int

    @cached_property
    def split(self) -> Split:
        """The split of the table."""
        return self.split_of(self.data)

    def split_of(self, data: Dataset) -> Split:
        """Return the split of a table like this one."""
        if self.folds == 1:
            return data.split(self.seed)
        return next(itertools.islice(data.folds(self.folds, 1, self.seed), self.fold, None))


def made(
    rows: int,
    kind: str,
    *,
    classes: int = 0,
    seed: int = 0,
    many: int = 40,
    gap: tuple[int, float] = (0, 0.0),
    mixed: bool = True,
) -> Dataset:
    """Return a table of the rows' numbers and one more column.

    Args:
        rows: Number of rows.
        kind: How they are split.
        classes: Number of classes; 0: a quantity.
        seed: Seed of the values.
        many: Number of groups or of distinct times.
        gap: Rows and seconds left out in time.
        mixed: Whether it also has gaps and categories, which need an encoder.
    """
    rng = np.random.default_rng(seed)
    x: Any = np.column_stack([np.arange(rows, dtype=float), rng.lognormal(size=rows)])
    if mixed:
        x = pd.DataFrame(x, columns=["row", "number"]).assign(
            holed=np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
            word=rng.choice([*"abcdefgh"], rows),
        )
    y = rng.integers(0, classes, rows) if classes else rng.lognormal(size=rows)
    keys = SplitKeys()
    if kind == "group":
        keys = SplitKeys(groups=rng.integers(0, many, rows))
    elif kind == "time":
        times = DAY * rng.integers(0, many, rows)
        keys = SplitKeys(None, times, dated=True, gap_rows=gap[0], gap_time=gap[1])
    raw = Raw(
        {"train": Part(x, y)},
        python=(),
        task="classification" if classes else "regression",
        classes=tuple(map(str, range(classes))),
        columns=("row", "number", "holed", "word") if mixed else ("row", "number"),
        numeric=("row", "number", "holed") if mixed else (),
        text=("word",) if mixed else (),
        keys=keys,
    )
    return finish(raw, "made", "auto")


@st.composite
def requests(draw: st.DrawFn, mixed: bool = False) -> Request:
    """Draw a table and a split of it that is not refused."""
    kind = draw(st.sampled_from(KINDS))
    folds = draw(st.integers(1, 5))
    rows, many = draw(st.integers(30, 160)), draw(st.integers(6, 60))
    gap = draw(st.sampled_from([(0, 0.0), (3, 0.0), (0, 2 * DAY)]))
    classes, seed = draw(st.sampled_from([0, 2, 3])), draw(st.integers(0, 10**6))
    fold, split_seed = draw(st.integers(0, folds - 1)), draw(st.integers(0, 2**32 - 1))
    while True:
        try:
            data = made(rows, kind, classes=classes, seed=seed, many=many, gap=gap, mixed=mixed)
            request = Request(data, folds, fold, split_seed)
            assert request.split
            return request
        except RequestError:  # too few rows, groups or times, or none of some class
            rows, many = rows + 20, many + 6


def rows_of(split: Split) -> list[np.ndarray]:
    """Return the numbers of the rows of each part, from their encoded inputs."""
    place = [*split.feature_names].index("number__row") if split.encoder else 0
    return [x[:, place].astype(int) for x in (split.x_train, split.x_valid, split.x_test)]


@pytest.mark.thorough
@given(requests())
@settings(HUNDRED, max_examples=1000)
def test_parts_share_nothing_keep_the_classes_and_leak_nothing(request: Request) -> None:
    """In a thousand tables and requests parts are apart, and only training rows are learnt from."""
    check_parts(request)
    check_shares(request)
    check_inputs(request)


@pytest.mark.thorough
@given(requests(mixed=True))
@settings(HUNDRED, max_examples=20)
def test_no_cell_held_out_influences_an_encoder(request: Request) -> None:
    """With gaps and categories too: other gaps are filled with the same medians."""
    check_inputs(request)


def check_parts(request: Request) -> None:
    """Check that parts share no row and no group, and are later than the one before, by the gap.

    Nothing is lost but the rows of a gap, and in folds those after a period.
    """
    keys, parts = request.data.keys, rows_of(request.split)
    train, valid, test = parts
    used = np.concatenate(parts)
    assert len(used) == len(set(used))
    assert min(map(len, parts)) > 0
    if keys.times is None:
        assert len(used) == request.data.rows
    if keys.groups is not None:
        groups = [{*keys.groups[part]} for part in parts]
        assert sum(map(len, groups)) == len(set().union(*groups))
    if keys.times is not None:
        for earlier, later in ((train, valid), (valid, test)):
            last, first = keys.times[earlier].max(), keys.times[later].min()
            assert last < first
            assert last <= first - keys.gap_time
        before = np.flatnonzero(keys.times < keys.times[valid].min())
        left_out = np.setdiff1d(before, train)
        if not keys.gap_time:
            assert len(left_out) == keys.gap_rows
        assert keys.times[left_out].min(initial=np.inf) >= keys.times[train].max()


def check_shares(request: Request) -> None:
    """Check that at random a part has its share of each class, to within one row for each cut."""
    data = request.data
    if not data.classes or data.keys.arrays():
        return
    split = request.split
    counts = np.bincount(data.y)
    for y, cuts in ((split.y_test, 1), (split.y_valid, 2), (split.y_train, 2)):
        expected = counts * len(y) / len(data.y)
        assert np.abs(np.bincount(y, minlength=len(counts)) - expected).max() <= cuts


def check_inputs(request: Request) -> None:
    """Check that training inputs are bit-equal after numbers in the rows held out have changed."""
    data, rng = request.data, np.random.default_rng(request.seed)
    split = request.split
    held = ~np.isin(np.arange(data.rows), rows_of(split)[0])
    x, y = data.x.copy(), data.y.copy()
    far = rng.normal(0, 1e6, held.sum())
    if data.is_table:
        x.loc[held, "number"] *= far
        # The whole table decides which columns have an indicator of missing values.
        holes = np.nan if x["holed"].isna().any() else 0.0
        x.loc[held, "holed"] = np.where(np.arange(held.sum()) % 3, far, holes)
    else:
        x[held, 1] *= far
    if not data.classes:  # classes decide where rows go
        y[held] *= 1e6
    again = request.split_of(dataclasses.replace(data, parts={"train": Part(x, y)}))
    assert rows_of(again)[1].tolist() == rows_of(split)[1].tolist()
    ours, theirs = split.prepared(), again.prepared()
    np.testing.assert_array_equal(ours.x_train, theirs.x_train, strict=True)
    np.testing.assert_array_equal(ours.y_train, theirs.y_train, strict=True)
    assert not np.array_equal(ours.x_valid, theirs.x_valid)


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_many_small_groups_keep_sizes_and_shares(seed: int, classes: int) -> None:
    """With 100 groups of about five rows, parts and classes have their shares within 5 points."""
    data = made(500, "group", classes=classes, seed=seed, many=100)
    split = data.split(seed)
    shares = np.bincount(data.y) / data.rows
    for y, share in ((split.y_train, 0.64), (split.y_valid, 0.16), (split.y_test, 0.2)):
        assert len(y) / data.rows == pytest.approx(share, abs=0.05)
        np.testing.assert_allclose(np.bincount(y) / len(y), shares, atol=0.05)


def test_a_giant_group_is_not_held_out() -> None:
    """A group with most of the rows is trained on, since it is far from a fifth."""
    rng = np.random.default_rng(0)
    groups = np.where(np.arange(300) < 180, 0, rng.integers(1, 30, 300))
    data = dataclasses.replace(made(300, "group", classes=2), keys=SplitKeys(groups=groups))
    for seed in range(5):
        train, valid, test = rows_of(data.split(seed))
        assert 0 in groups[train]
        assert len(valid) == pytest.approx(48, abs=15)
        assert len(test) == pytest.approx(60, abs=15)


def test_random_parts_are_those_of_scikit_learn() -> None:
    """Without flags, parts are two cuts by `train_test_split`, as they have always been."""
    for classes in (0, 3):
        data = made(100, "random", classes=classes)
        first = data.y if classes else None
        rest, test = train_test_split(range(100), test_size=0.2, random_state=0, stratify=first)
        then = data.y[rest] if classes else None
        train, valid = train_test_split(rest, test_size=0.2, random_state=7, stratify=then)
        for ours, theirs in zip(rows_of(data.split(7)), (train, valid, test), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [0, 3])
def test_folds_validate_every_row_once_a_repeat(kind: str, classes: int) -> None:
    """In each repeat every row but the test part's is validated once; periods are consecutive."""
    repeats = 1 if kind == "time" else 2
    data = made(200, kind, classes=classes)
    splits = [rows_of(split) for split in data.folds(4, repeats, seed=5)]
    assert len(splits) == 4 * repeats
    test = rows_of(data.split(3))[2]
    for _, _, tested in splits:
        np.testing.assert_array_equal(tested, test)
    held = np.bincount(np.concatenate([valid for _, valid, _ in splits]), minlength=200)
    if kind == "time":
        first = np.delete(np.arange(200), test)[np.delete(held, test) == 0]
        assert held.max() == 1
        assert data.keys.times is not None
        assert data.keys.times[first].max() < data.keys.times[splits[0][1]].min()
        trained = [set(train) for train, _, _ in splits]
        assert all(a < b for a, b in itertools.pairwise(trained))
    else:
        assert (np.delete(held, test) == repeats).all()
        assert not np.array_equal(splits[0][1], splits[4][1])


@pytest.mark.parametrize("classes", [0, 3])
def test_folds_are_those_of_scikit_learn(classes: int) -> None:
    """Random folds are scikit-learn's, as are expanding windows if no two rows share a time."""
    data = made(100, "random", classes=classes)
    rest, _ = train_test_split(
        np.arange(100), test_size=0.2, random_state=0, stratify=data.y if classes else None
    )
    splitter: Any = (RepeatedStratifiedKFold if classes else RepeatedKFold)(
        n_splits=3, n_repeats=2, random_state=9
    )
    theirs = list(splitter.split(rest, data.y[rest]))
    ours = [rows_of(split)[:2] for split in data.folds(3, 2, seed=9)]
    for (train, valid), (train_at, valid_at) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(train, rest[train_at])
        np.testing.assert_array_equal(valid, rest[valid_at])


@given(
    rows=st.integers(20, 90),
    folds=st.integers(2, 5),
    gap=st.integers(0, 2),
    seed=st.integers(0, 99),
)
@HUNDRED
def test_windows_are_those_of_scikit_learn(rows: int, folds: int, gap: int, seed: int) -> None:
    """Without rows of equal time, expanding windows are those of `TimeSeriesSplit`."""
    times = np.random.default_rng(seed).permutation(rows).astype(float)
    order = np.argsort(times)
    theirs = TimeSeriesSplit(folds, gap=gap).split(order)
    ours = expanding_windows(times, folds, gap_rows=gap)
    for (train, valid), (train_at, valid_at) in zip(ours, theirs, strict=True):
        assert sorted(train) == sorted(order[train_at])
        assert sorted(valid) == sorted(order[valid_at])


REFUSED: dict[str, tuple[Callable[[], Dataset], tuple[int, int], str]] = {
    "fewer groups than folds": (
        lambda: made(100, "group", many=5),
        (5, 1),
        "--folds 5, but 4 group(s) are not for testing; expected a group for each fold",
    ),
    "fewer times than folds": (
        lambda: made(100, "time", many=6),
        (5, 1),
        "--folds 5, but 4 distinct time(s) are not for testing",
    ),
    "repeats in time": (lambda: made(100, "time"), (3, 2), "--repeats 2 with --time"),
    "one fold": (lambda: made(100, "random"), (1, 1), "2 folds or more"),
    "a rare class": (
        lambda: with_rare(made(100, "random", classes=2), 6),
        (6, 1),
        "--folds 6, but class '1' has 5 row(s) that are not for testing",
    ),
    "a fold without a class": (
        lambda: in_order(made(100, "time", classes=2, many=90)),
        (4, 1),
        "no row of class '1'; expected rows of every class",
    ),
    "a given validation part": (
        lambda: with_valid(made(100, "random")),
        (5, 1),
        "--folds 5 with a given validation part; expected one of them",
    ),
}


def with_rare(data: Dataset, count: int) -> Dataset:
    """Return the data with a class of few rows."""
    y = (np.arange(data.rows) < count).astype(np.int32)
    return dataclasses.replace(data, parts={"train": Part(data.x, y)})


def in_order(data: Dataset) -> Dataset:
    """Return the data with a class that appears late."""
    assert data.keys.times is not None
    y = (data.keys.times > np.median(data.keys.times)).astype(np.int32)
    return dataclasses.replace(data, parts={"train": Part(data.x, y)})


def with_valid(data: Dataset) -> Dataset:
    """Return the data with a validation part."""
    return dataclasses.replace(data, parts={**data.parts, "valid": data.parts["train"]})


@pytest.mark.parametrize("name", REFUSED)
def test_folds_that_cannot_be_are_refused(name: str) -> None:
    """One sentence names what is missing."""
    make, (folds, repeats), words = REFUSED[name]
    with pytest.raises(RequestError) as refused:
        list(make().folds(folds, repeats, seed=0))
    assert words in str(refused.value)
