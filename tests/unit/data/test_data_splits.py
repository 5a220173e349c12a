"""Loading and splitting: assignment of rows to parts, and the part used for statistics."""

from __future__ import annotations

import gzip
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.data_files import arrays, images, table
from trainstack.search.data.catalogue import DATASETS
from trainstack.search.data.load import load
from trainstack.search.data.preparation import mean_and_scale

FASHION = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """A classification set whose only feature is the row's number."""
    path = tmp_path_factory.mktemp("n") / "a.npz"
    np.savez(path, x_train=np.arange(210.0)[:, None], y_train=np.arange(210) % 3)
    return load(str(path))


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_parts_are_disjoint_complete_and_stratified(numbered, seed):
    """Every row is in exactly one part, and each part has the classes' shares."""
    split = numbered.split(seed)
    rows = np.concatenate([split.x_train, split.x_valid, split.x_test]).ravel()
    assert sorted(rows) == list(range(210))
    for y, share in ((split.y_train, 134 / 3), (split.y_valid, 34 / 3), (split.y_test, 42 / 3)):
        assert np.abs(np.bincount(y) - share).max() <= 1


def test_seed_moves_validation_and_never_the_test_part(numbered):
    """Two seeds give the same test rows and other validation rows; equal seeds give equal rows."""
    first, again, second = numbered.split(1), numbered.split(1), numbered.split(2)
    np.testing.assert_array_equal(first.x_test, second.x_test)
    assert set(first.x_valid.ravel()) != set(second.x_valid.ravel())
    np.testing.assert_array_equal(first.x_valid, again.x_valid)


def test_given_parts_are_kept(tmp_path):
    """Given validation and test rows are unchanged for any seed."""
    data = {**arrays(), "x_valid": np.ones((5, 4)), "y_valid": np.arange(5) % 3}
    data |= {"x_test": np.full((6, 4), 2.0), "y_test": np.arange(6) % 3}
    np.savez(tmp_path / "a.npz", **data)
    for seed in (0, 3):
        split = load(str(tmp_path / "a.npz")).split(seed)
        np.testing.assert_array_equal(split.x_train, data["x_train"])
        np.testing.assert_array_equal(split.x_valid, data["x_valid"])
        np.testing.assert_array_equal(split.x_test, data["x_test"])


def test_statistics_come_from_the_training_part_alone(tmp_path):
    """Other validation and test rows change no statistic and no encoder's median."""
    data = {**arrays(), "y_valid": np.arange(6) % 3, "y_test": np.arange(6) % 3}
    splits = []
    for far in (0.0, 1e6):
        np.savez(tmp_path / "a.npz", **data, x_valid=np.full((6, 4), far), x_test=np.ones((6, 4)))
        splits.append(load(str(tmp_path / "a.npz")).split(0))
    ours, others = (split.preparation for split in splits)
    np.testing.assert_array_equal(ours.shift, others.shift)
    np.testing.assert_array_equal(ours.scale, others.scale)
    np.testing.assert_allclose(ours.shift, data["x_train"].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(ours.scale, data["x_train"].std(axis=0), rtol=1e-5)


def test_medians_come_from_the_training_part_alone(tmp_path):
    """A gap is filled with the median over the training rows, not over all rows."""
    table().to_csv(tmp_path / "t.csv", index=False)
    dataset = load(str(tmp_path / "t.csv"), target="price")
    split = dataset.split(3)
    age = split.feature_names.index("number__age")
    gap = split.feature_names.index("missing__missingindicator_age")
    known = split.x_train[split.x_train[:, gap] == 0, age]
    filled = split.x_valid[split.x_valid[:, gap] == 1, age]
    assert len(filled)
    np.testing.assert_allclose(filled, np.median(known), rtol=1e-6)
    assert not np.isclose(np.median(known), dataset.x["age"].median(), rtol=1e-4)


def test_table_becomes_features(tmp_path):
    """Gaps become categories and indicators; empty and constant columns go with a note."""
    table().to_csv(tmp_path / "t.csv", index=False)
    dataset = load(str(tmp_path / "t.csv"), target="price")
    split = dataset.split(0)
    names = split.feature_names
    assert dataset.task == "regression"
    assert "category__colour_(missing)" in names
    assert not any("country" in name or "nothing" in name for name in names)
    assert "'country', 'nothing'" in dataset.warnings[0]
    streets = [name for name in names if "street" in name]
    assert len(streets) == 50
    colours = [i for i, name in enumerate(names) if "colour" in name]
    np.testing.assert_array_equal(split.x_test[:, colours].sum(axis=1), 1)
    assert split.x_train.dtype == np.float64
    assert split.prepared().x_train.dtype == np.float32


def test_number_of_features_is_the_same_for_every_seed(tmp_path):
    """The network's width does not depend on the choice of validation rows."""
    table(many=190).assign(street=lambda f: f["street"].str[:2]).to_csv(tmp_path / "t.csv")
    dataset = load(str(tmp_path / "t.csv"), target="kind")
    widths = {dataset.split(seed).x_train.shape[1] for seed in range(8)}
    assert widths == {dataset.features}


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (["a", "b"], "classification"),
        ([True, False], "classification"),
        (list(range(20)), "classification"),
        ([0.0, 1.0], "classification"),
        (list(range(100)), "regression"),
        ([0.5, 1.0], "regression"),
    ],
)
def test_auto_task_of_a_table(target, task, tmp_path):
    """Text, booleans and few whole numbers are classes; every other target is a quantity."""
    frame = table().assign(y=target * (200 // len(target)))
    frame.to_csv(tmp_path / "t.csv", index=False)
    dataset = load(str(tmp_path / "t.csv"), target="y")
    assert dataset.task == task
    assert len(dataset.classes) == (len(set(target)) if task == "classification" else 0)


def test_rows_without_a_target_are_left_out(tmp_path):
    """A missing target drops the row, with a note that counts them."""
    frame = table()
    frame.loc[:9, "price"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    dataset = load(str(tmp_path / "t.csv"), target="price")
    assert dataset.rows == 190
    assert dataset.warnings[0].startswith("10 row(s)")


def test_standardised_training_part_has_mean_0_and_deviation_1():
    """After standardising, training features and targets have mean 0 and deviation 1."""
    arrays_ = load("diabetes").split(0).prepared()
    np.testing.assert_allclose(arrays_.x_train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(arrays_.x_train.std(axis=0), 1, atol=1e-4)
    np.testing.assert_allclose([arrays_.y_train.mean(), arrays_.y_train.std() - 1], 0, atol=1e-5)
    assert arrays_.x_test.dtype == arrays_.y_test.dtype == np.float32


@given(value=st.floats(-1e6, 1e6, width=32), rows=st.integers(2, 9000))
@settings(max_examples=30, deadline=None)
def test_constant_features_get_scale_1(value, rows):
    """A constant column has scale 1, even if its mean is rounded."""
    _, scale = mean_and_scale(np.full((rows, 1), value, np.float32))
    assert scale[0] == 1


def test_images_are_flattened_with_a_note(tmp_path):
    """Pictures become rows of pixels, in order, with a note; plain and gzip files are equal."""
    plain = load(str(images(tmp_path / "p", ending="")))
    packed = load(str(images(tmp_path / "g")))
    assert plain.image_shape == (3, 2)
    assert "flattened to 6 features" in plain.notes[0]
    assert plain.fingerprint == packed.fingerprint
    assert plain.split(0).x_test.shape == (10, 6)


def test_fingerprint_follows_the_content(tmp_path):
    """A copy has the same fingerprint; another value, label or row order changes it."""
    base = arrays()
    changed = base["x_train"].copy()
    changed[3, 1] += 1e-3
    order = np.arange(60)[::-1]
    variants = [
        base,
        base,
        {**base, "x_train": changed},
        {**base, "y_train": base["y_train"][order]},
    ]
    variants.append({name: values[order] for name, values in base.items()})
    prints = []
    for number, data in enumerate(variants):
        np.savez(tmp_path / f"{number}.npz", **data)
        prints.append(load(str(tmp_path / f"{number}.npz")).fingerprint)
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4


def test_fingerprint_is_the_same_for_csv_and_parquet(tmp_path):
    """The fingerprint depends on the content, not on the file format."""
    frame = table().drop(columns=["nothing", "garden"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    prints = {load(str(tmp_path / f"t.{e}"), target="kind").fingerprint for e in ("csv", "parquet")}
    assert len(prints) == 1


@pytest.mark.parametrize("name", ["digits", "diabetes"])
def test_split_and_dataset_survive_pickling(name):
    """A split and its data set can be sent to another process."""
    dataset = load(name)
    again = pickle.loads(pickle.dumps(dataset))
    assert again.fingerprint == dataset.fingerprint
    split = pickle.loads(pickle.dumps(dataset.split(1)))
    np.testing.assert_array_equal(split.x_valid, again.split(1).x_valid)


@pytest.mark.thorough
@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_has_the_chapters_split(monkeypatch, tmp_path):
    """The first 5,000 training images are for validation, the other 55,000 for training."""
    monkeypatch.setenv("TRAINSTACK_HOME", str(tmp_path))
    monkeypatch.delenv("TRAINSTACK_DATA", raising=False)
    packed = (FASHION / "train-images-idx3-ubyte.gz").read_bytes()
    pixels = np.frombuffer(gzip.decompress(packed), np.uint8, offset=16).reshape(60_000, 784)
    split = load("fashion-mnist").split(5)
    assert (len(split.y_train), len(split.y_valid), len(split.y_test)) == (55_000, 5_000, 10_000)
    np.testing.assert_array_equal(split.x_valid, pixels[:5_000])
    np.testing.assert_array_equal(split.x_train[[0, -1]], pixels[[5_000, -1]])
    np.testing.assert_array_equal(np.bincount(split.y_test), 1_000)


@pytest.mark.process
def test_names_are_listed_without_a_library():
    """Importing the catalogue loads neither NumPy nor pandas nor scikit-learn."""
    code = "import sys; from trainstack.search.data.catalogue import DATASETS; print(*sys.modules)"
    root = Path(__file__).parents[3]
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    ).stdout.split()
    assert not {"numpy", "pandas", "sklearn"} & set(loaded)
    assert next(iter(DATASETS)) == "digits"


def test_description_is_what_the_network_needs(tmp_path):
    """The pinned description has the encoded width, the classes and the absolute path."""
    table().to_csv(tmp_path / "t.csv", index=False)
    spec = load(str(tmp_path / "t.csv"), target="kind").describe()
    assert spec.source == str(tmp_path / "t.csv")
    assert spec.classes == ("flat", "house")
    assert spec.features == load(spec.source, target="kind").split(4).x_train.shape[1]
