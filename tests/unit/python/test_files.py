"""A program's objects as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainstack.search.python.files import data_file, space_file, stacks_file
from trainstack.spaces.errors import RequestError
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

FRAME = pd.DataFrame({"a": [1.0, None], "b": pd.Categorical(["x", "y"]), 3: [True, False]})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own."""
    monkeypatch.setenv("TRAINSTACK_HOME", str(tmp_path))
    return tmp_path


def test_a_frame_is_a_table() -> None:
    """A frame's file holds its columns, with texts for names and categories, without the index."""
    path, target = data_file(FRAME.set_axis([5, 6]), "b")
    found = pd.read_parquet(path)
    assert target == "b"
    assert list(found.columns) == ["a", "b", "3"]
    assert list(found.index) == [0, 1]
    assert list(found["b"]) == ["x", "y"]
    assert found["a"].isna().tolist() == [False, True]


def test_equal_contents_are_one_file(home: Path) -> None:
    """The same frame and the same arrays give the same file again; others give another."""
    x = np.arange(6.0).reshape(3, 2)
    first = data_file(FRAME)[0], data_file((x, [0, 1, 0]))[0]
    assert (data_file(FRAME.copy())[0], data_file((x.copy(), [0, 1, 0]))[0]) == first
    assert data_file(FRAME.iloc[::-1])[0] != first[0]
    assert data_file((x, [1, 1, 0]))[0] != first[1]
    assert len(list((home / "given").iterdir())) == 4


def test_arrays_are_an_archive() -> None:
    """A pair becomes the training part, a mapping the parts it names; text labels stay texts."""
    x = np.arange(4.0).reshape(2, 2)
    path, target = data_file((x, np.array(["no", "yes"], object)))
    assert target is None
    with np.load(path) as found:
        assert np.array_equal(found["x_train"], x)
        assert found["y_train"].tolist() == ["no", "yes"]
    path, _ = data_file({"x_train": x, "y_train": [1, 2], "x_test": x, "y_test": [1, 2]})
    with np.load(path) as found:
        assert sorted(found) == ["x_test", "x_train", "y_test", "y_train"]


def test_targets_that_are_objects_are_what_they_hold() -> None:
    """Numbers stay numbers, and with texts among them become texts."""
    for values, expected in (([1, 2], [1, 2]), ([1.5, 2.5], [1.5, 2.5]), ([1, "a"], ["1", "a"])):
        path, _ = data_file(([[1.0], [2.0]], np.array(values, object)))
        with np.load(path) as found:
            assert found["y_train"].tolist() == expected


def test_bins_become_texts() -> None:
    """A column that `pandas.cut` made is written as its intervals' names, with its gaps."""
    bins = pd.cut(pd.Series([0.5, 1.5, 9.0]), [0, 1, 2])
    path, _ = data_file(pd.DataFrame({"a": bins, "b": 1}))
    assert pd.read_parquet(path)["a"].fillna("").tolist() == ["(0, 1]", "(1, 2]", ""]


@pytest.mark.parametrize(("y", "name"), [(pd.Series([1, 2], name="price"), "price"), ([1, 2], "t")])
def test_a_frame_beside_its_target(y: Any, name: str) -> None:
    """Features in a frame and a target beside it become one table."""
    path, target = data_file((FRAME, y), None if name == "price" else name)
    assert target == name
    assert pd.read_parquet(path)[name].tolist() == [1, 2]


def test_names_and_paths_stay_as_they_are() -> None:
    """A name or a path is not written again."""
    assert data_file("digits") == ("digits", None)
    assert data_file(Path("a.csv"), "b") == ("a.csv", "b")
    assert (space_file("quick"), stacks_file("s.json")) == ("quick", "s.json")


def test_spaces_and_stacks_are_read_back() -> None:
    """The files of a space and of stacks hold what was given, with the choices in their order."""
    space = Space.named("quick")
    assert Space.read(space_file(space)) == space
    assert Space.read(space_file(space.to_json())).to_json() == space.to_json()
    stack = Stack.of(activation="relu")
    read = json.loads(Path(stacks_file([stack, "chapter-default"])).read_text("utf-8"))
    assert Stack.from_json(read[0]) == stack
    assert read[1] == "chapter-default"
    assert len(json.loads(Path(stacks_file(stack)).read_text("utf-8"))) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "data of type int; expected a data frame"),
        (([object()], [1]), "x_train holds objects"),
        (pd.DataFrame([[1, 2]], columns=[["a", "a"], ["b", "c"]]), "names of 2 levels"),
        (([[1], [1, 2]], [1, 2]), "arrays that NumPy refuses"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "cannot be written as a table"),
        (pd.DataFrame({"a": [1, "x"]}), "cannot be written as a table"),
        ((pd.DataFrame({"target": [1]}), [1]), "have a column 'target'"),
        ((FRAME, [1, 2, 3]), "2 rows of features and 3 of the target"),
        ((FRAME, np.ones((2, 2))), r"a target of shape \(2, 2\) beside a frame; expected one val"),
        (([[1.0], [2.0]], np.array(["no", None], object)), "y_train holds 1 missing value"),
        (([[1.0], [2.0]], pd.Series(["no", np.nan])), "y_train holds 1 missing value"),
    ],
)
def test_other_objects_are_refused(data: Any, message: str) -> None:
    """What cannot be written gives one line."""
    with pytest.raises(RequestError, match=message):
        data_file(data)
