"""Preparations of the inputs, against scikit-learn and pytabkit; what they are fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler

from trainstack.search.data.dataset import Dataset
from trainstack.search.data.load import load
from trainstack.search.data.preparation import fit
from trainstack.spaces.preparations import PREPARATIONS

# Columns: skewed with a far value, rare, constant, of two values; and rows of other parts.
X = np.array([[1, 0, 5, 1], [2, 0, 5, 0], [4, 0, 5, 1], [8, 1, 5, 1], [100, 0, 5, 1], [7, 0, 5, 1]])
X = np.vstack([X, [[3, 0, 5, 1]]]).astype(np.float64)
OTHERS = np.array([[0.0, 1, 6, 0], [1e4, -1, 5, 2]])


def shapes(rows: int = 3000) -> np.ndarray:
    """Return columns of several distributions, with ties, that float32 holds exactly."""
    rng = np.random.default_rng(0)
    columns = [
        rng.normal(size=rows),
        rng.lognormal(size=rows),
        rng.integers(0, 6, rows),
        rng.choice([0.0, 0.1, 2.5], rows, p=[0.6, 0.3, 0.1]),
    ]
    return np.stack(columns, axis=1).astype(np.float32).astype(np.float64)


@pytest.mark.parametrize(
    ("name", "theirs"), [("standard", StandardScaler()), ("unit", MinMaxScaler())]
)
def test_a_linear_preparation_is_scikit_learns(name: str, theirs: Any) -> None:
    """Training rows and others, beyond the training range, become scikit-learn's numbers."""
    theirs.fit(X)
    ours = fit(name, X)
    for x in (X, OTHERS):
        np.testing.assert_allclose(ours(x), theirs.transform(x), rtol=1e-12, atol=1e-12)


def test_robust_clip_is_pytabkits() -> None:
    """Quartiles, half a range where they coincide, 0 for a constant feature, then the clip.

    From pytabkit 1.8.0: `PreprocessingFactory(tfms=["median_center", "robust_scale",
    "smooth_clip"])`, fitted on X in float32 and applied to X and OTHERS.
    """
    expected = [
        [-0.5883479714393616, 0.0, 0.0, 0.0],
        [-0.39649099111557007, 0.0, 0.0, -1.664101004600525],
        [0.0, 0.0, 0.0, 0.0],
        [0.7729880213737488, 1.664101004600525, 0.0, 0.0],
        [2.964035987854004, 0.0, 0.0, 0.0],
        [0.5883479714393616, 0.0, 0.0, 0.0],
        [-0.19955700635910034, 0.0, 0.0, 0.0],
        [-0.7729880213737488, 1.664101004600525, 0.0, -1.664101004600525],
        [2.9999969005584717, -1.664101004600525, 0.0, 1.664101004600525],
    ]
    found = fit("robust_clip", X)(np.vstack([X, OTHERS]))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rows", [300, 3000])
def test_quantiles_are_scikit_learns(rows: int) -> None:
    """With fewer and more rows than quantiles, tied or not, and beyond the training range."""
    x = shapes(rows)
    transformer: Any = QuantileTransformer  # its stub requires a subsample
    theirs = transformer(
        n_quantiles=min(1000, rows), output_distribution="normal", subsample=None
    ).fit(x)
    others = np.vstack([x[:100] * 1.25 + 0.125, [[-9.0] * 4, [99.0] * 4]])
    ours = fit("quantile", x)
    for part in (x, others):
        np.testing.assert_allclose(ours(part), theirs.transform(part), rtol=0, atol=1e-5)


def test_quantiles_do_not_depend_on_a_features_unit() -> None:
    """A feature in billionths has the same quantiles; scikit-learn merges all its values."""
    x = shapes()
    scale = 2.0**-30
    np.testing.assert_array_equal(fit("quantile", x * scale)(x * scale), fit("quantile", x)(x))


def test_features_of_two_values_are_standardised_instead_of_shaped() -> None:
    """Quantiles of indicators would be -5.2 and 5.2; they and constants are standardised."""
    found = fit("quantile", X)(np.vstack([X, OTHERS]))
    expected = fit("standard", X)(np.vstack([X, OTHERS]))
    np.testing.assert_array_equal(found[:, 1:], expected[:, 1:])
    assert np.abs(found[:, 0]).max() < 5.2


@pytest.mark.parametrize("name", PREPARATIONS)
def test_no_row_beyond_the_training_part_changes_its_inputs(name: str, tmp_path: Path) -> None:
    """Far values among other rows leave the training inputs bit-equal: a split, a fold, a refit."""
    x, y = np.random.default_rng(1).lognormal(size=(90, 3)), np.arange(90) % 3

    def loaded(x: np.ndarray, far: float) -> Dataset:
        np.savez(
            tmp_path / "a.npz", x_train=x, y_train=y, x_test=np.full((6, 3), far), y_test=y[:6]
        )
        return load(str(tmp_path / "a.npz"))

    near = loaded(x, 1.0)
    for rows, split_of in (
        (near.division.positions(7), lambda data: data.split(7)),
        (near.division.folds(3, 1, 7)[1], lambda data: data.fold(near.division.folds(3, 1, 7)[1])),
        ({"valid": []}, lambda data: data.whole()),
    ):
        moved = x.copy()
        moved[rows["valid"]] *= 1e6
        ours, others = (
            split_of(data).prepared_by(name).prepared() for data in (near, loaded(moved, 1e6))
        )
        np.testing.assert_array_equal(ours.x_train, others.x_train)
        assert (ours.x_test != others.x_test).all()


@pytest.mark.parametrize("name", PREPARATIONS)
def test_an_offset_changes_only_the_last_digits(name: str) -> None:
    """A feature of 1e9 and small differences has the inputs that it has without the offset."""
    x = np.stack([np.arange(60) % 7 / 8, np.arange(60) % 2], axis=1)
    np.testing.assert_allclose(fit(name, x + 1e9)(x + 1e9), fit(name, x)(x), atol=1e-6)


@pytest.mark.parametrize("name", PREPARATIONS)
def test_images_are_prepared_pixel_by_pixel(name: str) -> None:
    """Float32 images with constant borders give finite inputs, those of float64 ones."""
    images = load("digits").split(0).x_train.astype(np.float32)
    found = fit(name, images)(images)
    assert np.isfinite(found).all()
    expected = fit(name, images.astype(np.float64))(images.astype(np.float64))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    constant = images.min(axis=0) == images.max(axis=0)
    assert constant.any()
    assert (found[:, constant] == 0.0).all()


NUMBERS = st.floats(-1e9, 1e9, allow_subnormal=False).map(lambda number: round(number, 4))


@given(
    name=st.sampled_from(sorted(PREPARATIONS)),
    x=arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=NUMBERS),
    others=arrays(np.float64, (20, 2), elements=NUMBERS),
)
def test_a_preparation_is_monotone_and_finite(name: str, x: np.ndarray, others: np.ndarray) -> None:
    """Greater values of a feature never get smaller inputs, whatever the training rows."""
    rows = np.sort(np.vstack([x, others]), axis=0)
    found = fit(name, x)(rows)
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=0) >= -1e-9).all()
