"""Parts of rows with several labels have equal shares of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.model_selection import train_test_split

from trainstack.search.data.load import load
from trainstack.search.data.strata import strata

ROWS = 200
LABELS = st.tuples(st.integers(20, 80), st.integers(2, 5)).flatmap(
    lambda shape: arrays(np.int32, shape, elements=st.integers(0, 1))
)


def groups(rows: list[tuple[int, str]]) -> list[list[str]]:
    """Return the combinations in each stratum, given each combination and its rows."""
    y = np.array([[int(label) for label in text] for n, text in rows for _ in range(n)])
    texts = ["".join(map(str, row)) for row in y]
    found = strata(y)
    return sorted(
        sorted({t for t, s in zip(texts, found, strict=True) if s == k}) for k in {*found}
    )


def test_a_rare_combination_joins_one_with_the_same_rarest_label() -> None:
    """The smallest of those; or the others of the label; or the largest stratum."""
    assert groups([(6, "000"), (9, "100"), (7, "001"), (3, "101")]) == [
        *(["000"], ["001", "101"], ["100"]),
    ]
    assert groups([(9, "000"), (8, "100"), (3, "110"), (3, "010")]) == [
        *(["000"], ["010", "110"], ["100"]),
    ]
    assert groups([(9, "00"), (8, "10"), (2, "11")]) == [["00", "11"], ["10"]]


@settings(deadline=None)
@given(LABELS)
def test_any_labels_can_be_stratified(y: np.ndarray) -> None:
    """Every stratum has five rows, so that a fifth can be held out twice."""
    found = strata(y)
    assert np.unique(found, return_counts=True)[1].min() >= 5
    rest, _ = train_test_split(y, test_size=0.2, stratify=found)
    train_test_split(rest, test_size=0.2, stratify=strata(rest))


def test_each_part_has_its_share_of_a_rare_label(tmp_path: Path) -> None:
    """Of ten rows with a rare label, for any seed two are for testing, one or two to validate."""
    place = np.arange(ROWS)
    y = np.column_stack([place % 2, place % 3 == 0, place % 20 == 7])
    np.savez(tmp_path / "a.npz", x_train=place[:, None], y_train=y.astype(int))
    data = load(str(tmp_path / "a.npz"))
    for seed in range(20):
        split = data.split(seed)
        assert split.y_test[:, 2].sum() == 2
        assert split.y_valid[:, 2].sum() in (1, 2)
        assert np.abs(split.y_test.mean(0)[:2] - y.mean(0)[:2]).max() < 0.03
