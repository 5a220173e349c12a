"""The generated lines give the arrays that the product trained on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from trainstack.search.data.generated_code import python_lines
from trainstack.search.data.load import load

from .data_files import arrays, cifar, images, table

PARTS = [f"{axis}_{part}" for part in ("train", "valid", "test") for axis in "xy"]


def _npz(folder):
    np.savez(folder / "a.npz", **arrays())
    return load(str(folder / "a.npz"))


def _npz_all_given(folder):
    parts = {
        f"{axis}_{part}": arrays(seed=seed)[f"{axis}_train"]
        for seed, part in enumerate(("train", "valid", "test"))
        for axis in "xy"
    }
    np.savez(folder / "a.npz", **parts)
    return load(str(folder / "a.npz"))


def _npz_regression(folder):
    data = arrays()
    np.savez(folder / "a.npz", x_train=data["x_train"], y_train=data["x_train"][:, :1] * 3)
    return load(str(folder / "a.npz"))


def _csv(folder):
    table().to_csv(folder / "t.csv", index=False)
    return load(str(folder / "t.csv"), target="price")


def _parquet(folder):
    table().to_parquet(folder / "t.parquet")
    return load(str(folder / "t.parquet"), target="kind")


def _numbers_only(folder):
    table()[["age", "rooms"]].to_csv(folder / "t.csv", index=False)
    return load(str(folder / "t.csv"), target="rooms")


def _text_only(folder):
    table()[["colour", "kind"]].to_csv(folder / "t.csv", index=False)
    return load(str(folder / "t.csv"), target="kind")


def _idx(folder):
    return load(str(images(folder / "i")))


def _held_out_images(folder):
    images(folder / "mnist", rows=5100)
    return load("mnist")


def _cifar(folder):
    cifar(folder / "cifar10")
    return load("cifar10")


KINDS = [_npz, _npz_all_given, _npz_regression, _csv, _parquet, _numbers_only, _text_only, _idx]
KINDS += [_held_out_images, _cifar]
BUNDLED = [lambda _, n=n: load(n) for n in ("digits", "breast-cancer", "wine", "diabetes")]


@pytest.mark.parametrize("make", [*KINDS, *BUNDLED])
@pytest.mark.parametrize("seed", [0, 7])
def test_lines_equal_split(make, seed, tmp_path, monkeypatch):
    """Executed on their own, the lines leave exactly the arrays of the split."""
    monkeypatch.setenv("TRAINSTACK_DATA", str(tmp_path))
    dataset = make(tmp_path)
    lines = python_lines(dataset)
    assert "search" not in "\n".join(lines).replace(str(tmp_path), "")
    scope = {"seed": seed}
    exec("\n".join(lines), scope)
    split = dataset.split(seed)
    for name in PARTS:
        np.testing.assert_array_equal(scope[name], getattr(split, name))
        assert scope[name].dtype == getattr(split, name).dtype


def test_lines_name_no_package_of_ours():
    """A dataset with other lines yields those lines, so nothing is hidden in between."""
    dataset = dataclasses.replace(load("wine"), python=("marker = 1",))
    assert "marker = 1" in python_lines(dataset)
