"""Data of every kind that can be read, written into a folder and loaded."""

import numpy as np

from tests.support.data_files import arrays, cifar, images, table
from trainstack.search.data.load import load

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
