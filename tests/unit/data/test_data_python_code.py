"""The generated lines give the arrays used in training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support.data_kinds import KINDS, PARTS
from trainstack.search.data.generated_code import python_lines
from trainstack.search.data.load import load
from trainstack.spaces.errors import RequestError

BUNDLED = [lambda _, n=n: load(n) for n in ("digits", "breast-cancer", "wine", "diabetes")]


@pytest.mark.parametrize("make", [*KINDS, *BUNDLED])
@pytest.mark.parametrize("seed", [0, 7])
def test_lines_equal_split(make, seed, tmp_path, monkeypatch):
    """Executed alone, the lines give exactly the arrays of the split."""
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


@pytest.mark.parametrize("several", [False, True])
def test_labels_of_an_archive_may_be_texts(several, tmp_path):
    """They are the classes, in the order of the alphabet, and the lines give the same labels."""
    names = np.array(["no", "yes", "maybe"])[np.arange(90) % 3]
    x = np.random.default_rng(0).normal(size=(90, 2))
    parts = {"x_train_a": x, "x_train_b": x} if several else {"x_train": x}
    tests = {name.replace("train", "test"): values[:6] for name, values in parts.items()}
    path = tmp_path / "a.npz"
    np.savez(path, y_train=names, y_test=names[:6], **parts, **tests)
    dataset = load(str(path))
    assert (dataset.task, dataset.classes) == ("classification", ("maybe", "no", "yes"))
    assert [dataset.classes[k] for k in dataset.parts["test"].y] == names[:6].tolist()
    scope = {"seed": 3}
    exec("\n".join(python_lines(dataset)), scope)
    for name in PARTS:
        np.testing.assert_array_equal(scope[name], getattr(dataset.split(3), name))
    with pytest.raises(RequestError, match="classification, which is its task"):
        load(str(path), task="regression")


def test_lines_name_no_package_of_ours():
    """The lines do not import this package."""
    dataset = dataclasses.replace(load("wine"), python=("marker = 1",))
    assert "marker = 1" in python_lines(dataset)
