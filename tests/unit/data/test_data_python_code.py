"""The generated lines give the arrays used in training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support.data_kinds import KINDS, PARTS
from trainstack.search.data.generated_code import python_lines
from trainstack.search.data.load import load

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


def test_lines_name_no_package_of_ours():
    """The lines do not import this package."""
    dataset = dataclasses.replace(load("wine"), python=("marker = 1",))
    assert "marker = 1" in python_lines(dataset)
