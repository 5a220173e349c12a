"""Several targets: which columns `--target` names, their kinds, and the arrays made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trainstack.search.cli.data import text_of
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.generated_code import python_lines
from trainstack.search.data.load import load
from trainstack.search.data.several_targets import as_flag, targets_named
from trainstack.search.data.shared_arrays import packed, unpacked
from trainstack.search.data.summary import summary_of
from trainstack.search.data_spec import DataSpec
from trainstack.spaces.errors import RequestError

PLACES = np.arange(60)
SWITCHES = np.column_stack([PLACES % 2, PLACES % 3 == 0, PLACES % 5 < 2]).astype(bool)
ARRAYS = ("x_train", "y_train", "x_valid", "y_valid", "x_test", "y_test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with labels, quantities, and a column whose name contains a comma."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["wet"] = np.where(x[:, 0] > 0, "yes", "no")
    frame["cold"] = (x[:, 1] > 0.3).astype(int)
    frame["loud, at night"] = x[:, 2] + x[:, 0] > 0
    frame["price"] = np.exp(2 + x[:, 0])
    frame["rent"] = np.exp(2 * x[:, 1])
    frame["grade"] = rng.integers(0, 5, 300)
    frame["rare"] = [1] * 3 + [0] * 297
    frame["same"] = 0.5
    frame.loc[:4, "price"] = np.nan
    frame.loc[4:9, "rent"] = np.nan
    path = tmp_path_factory.mktemp("several")
    frame.to_csv(path / "t.csv", index=False)
    return path


def read(folder: Path, target: Any, task: str = "auto", **options: Any) -> Dataset:
    """Load the table."""
    return load(str(folder / "t.csv"), target, task, **options)


def test_targets_of_two_classes_are_labels(folder: Path) -> None:
    """Each becomes a column of 0 and 1, with the names of both values."""
    dataset = read(folder, 'wet, cold, "loud, at night"')
    assert (dataset.task, dataset.classes) == ("multilabel", ())
    assert dataset.target == ("wet", "cold", "loud, at night")
    assert dataset.labels == (("no", "yes"), ("0", "1"), ("False", "True"))
    assert (dataset.y.dtype, dataset.y.shape) == (np.dtype("int32"), (300, 3))
    frame = pd.read_csv(folder / "t.csv")
    expected = [frame["wet"] == "yes", frame["cold"] == 1, frame["loud, at night"]]
    np.testing.assert_array_equal(dataset.y, np.column_stack(expected))
    assert not {"wet", "cold", "loud, at night"} & {*dataset.columns}


def test_quantities_are_standardised_each_for_itself(folder: Path) -> None:
    """Rows lacking one are left out, and each training target has mean 0 and deviation 1."""
    dataset = read(folder, ("price", "rent"))
    assert dataset.task == "regression"
    assert dataset.rows == 290
    assert "10 row(s) without a value of 'price', 'rent' are left out." in dataset.warnings
    y = dataset.split(1).prepared().y_train
    np.testing.assert_allclose(y.mean(axis=0), [0, 0], atol=1e-5)
    np.testing.assert_allclose(y.std(axis=0), [1, 1], rtol=1e-5)


def test_the_logarithms_of_several_quantities_are_standardised(folder: Path) -> None:
    """Each has its own scale, and returns to its own unit."""
    split = read(folder, "price,rent", transform="log").split(1)
    assert split.log is not None
    logs = np.log(split.y_train)
    np.testing.assert_allclose(split.log.mean, logs.mean(axis=0))
    np.testing.assert_allclose(split.log.scale, logs.std(axis=0))
    outputs = (logs - logs.mean(axis=0)) / logs.std(axis=0)
    np.testing.assert_allclose(split.log.in_unit(outputs), split.y_train, rtol=1e-9)


def test_a_column_whose_name_contains_a_comma_is_one_target(folder: Path) -> None:
    """Its whole name is looked up before the text is split."""
    dataset = read(folder, "loud, at night")
    assert (dataset.task, dataset.target) == ("classification", "loud, at night")


@pytest.mark.parametrize(
    ("target", "task", "message"),
    [
        ("price,price", "auto", "--target names 'price' twice"),
        (
            "price,rnet",
            "auto",
            "no column 'rnet'; expected a column for --target; did you mean 'rent'?",
        ),
        ("price,", "auto", "--target price,; expected names of columns"),
        ("price,wet", "auto", "'wet' has classes, 'price' has numbers"),
        ("wet,grade", "auto", "the target 'grade' has 5 class(es)"),
        ("price,grade", "auto", "--task regression if all are quantities"),
        ("price,rent", "classification", "the target 'price' has 290 class(es)"),
        ("price,same", "regression", "every target of 'same' is 0.5"),
        ("wet,rare", "auto", "the target 'rare' of"),
        ("wet", "multilabel", "--task multilabel for one target"),
    ],
)
def test_what_cannot_be_predicted_together_is_refused(
    folder: Path, target: str, task: str, message: str
) -> None:
    """One line names the column and what was expected."""
    with pytest.raises(RequestError) as caught:
        read(folder, target, task)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_of_few_values_are_quantities_if_the_task_says_so(folder: Path) -> None:
    """`--task regression` takes grades beside prices."""
    assert read(folder, "price,grade", "regression").task == "regression"


def test_other_data_has_one_target(tmp_path: Path) -> None:
    """A named set has no columns to choose from."""
    for target, task in (("a,b", "auto"), (None, "multilabel")):
        with pytest.raises(RequestError):
            load("digits", target, task)


# Targets of an archive → the task asked for, the task found, and the values of each label.
MATRICES: dict[str, tuple[np.ndarray, str, str, tuple[tuple[str, str], ...]]] = {
    "labels": (SWITCHES.astype(int), "auto", "multilabel", (("0", "1"),) * 3),
    "truth values": (SWITCHES, "classification", "multilabel", (("0", "1"),) * 3),
    "one of several": (np.eye(3)[PLACES % 3], "multilabel", "multilabel", (("0", "1"),) * 3),
    "counts of 0 and 1": (SWITCHES.astype(float), "regression", "regression", ()),
    "quantities": (PLACES[:, None] * [1.5, -2.0], "auto", "regression", ()),
}


@pytest.mark.parametrize("name", MATRICES)
def test_an_archive_may_have_several_targets(name: str, tmp_path: Path) -> None:
    """Columns of 0 and 1 are labels, others quantities; with weights, everywhere alike."""
    y, task, found, labels = MATRICES[name]
    x, w = np.random.default_rng(2).normal(size=(len(y), 2)), PLACES + 1.0
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, w_train=w)
    dataset = load(str(tmp_path / "a.npz"), task=task)
    assert (dataset.task, dataset.labels) == (found, labels)
    assert dataset.target == tuple(f"y{k}" for k in range(y.shape[1]))
    np.testing.assert_array_equal(dataset.y, y)
    described = DataSpec.from_json(dataset.describe().to_json())
    again = load(described.source, described.target, described.task)  # as a worker does
    assert again.describe() == described
    shared = unpacked(packed(dataset), dataset.source, dataset.target, "p.npz")
    assert shared.describe() == described
    names: dict[str, Any] = {"seed": 3}
    exec("\n".join(python_lines(dataset)), names)
    for array in (*ARRAYS, "w_train", "w_valid", "w_test"):
        np.testing.assert_array_equal(names[array], getattr(dataset.split(3), array))
    assert f"of {', '.join(dataset.targets)}" in text_of("a.npz", summary_of(dataset))


@pytest.mark.parametrize("target", ["wet,cold", "price,rent"])
def test_generated_code_gives_the_same_arrays(folder: Path, target: str) -> None:
    """The exported loading of several targets equals the split."""
    dataset = read(folder, target)
    names: dict[str, Any] = {"seed": 3}
    exec("\n".join(python_lines(dataset)), names)
    split = dataset.split(3)
    for name in ARRAYS:
        np.testing.assert_array_equal(names[name], getattr(split, name))


@pytest.mark.parametrize("target", ["wet,cold", "price,rent"])
def test_shared_data_is_the_same(folder: Path, target: str) -> None:
    """Packed and unpacked, the targets, their values and the fingerprint are equal."""
    dataset = read(folder, target)
    again = unpacked(packed(dataset), dataset.source, dataset.target, "p.npz")
    assert again.describe() == dataset.describe()
    np.testing.assert_array_equal(again.y, dataset.y)


@pytest.mark.parametrize("target", ["wet,cold", "price,rent", "price"])
def test_the_description_is_read_back_from_json(folder: Path, target: str) -> None:
    """Names of targets and values of labels survive; the head has one output for each."""
    data = read(folder, target).describe()
    assert DataSpec.from_json(data.to_json()) == data
    assert data.outputs == (1 if target == "price" else 2)


@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=4, unique=True))
def test_the_flag_of_several_targets_names_them_again(names: list[str]) -> None:
    """Names with commas, quotes and blanks survive the way through `--target`."""
    plain = [" ".join(name.split()) for name in names]
    assume(all(plain) and len({*plain}) == len(plain) and "\\n" not in "".join(plain))
    assert targets_named(as_flag(tuple(plain)), plain, "t.csv") == tuple(plain)


def test_data_shows_each_of_several_targets(folder: Path) -> None:
    """Labels are counted by value, quantities described each; a skewed one wants a logarithm."""
    labels = summary_of(read(folder, "wet,cold"))
    frame = pd.read_csv(folder / "t.csv")
    assert labels.classes["wet=yes"] == (frame["wet"] == "yes").sum()
    assert labels.classes["cold=0"] == (frame["cold"] == 0).sum()
    quantities = summary_of(read(folder, "price,rent"))
    assert (quantities.distribution, [*quantities.distributions]) == (None, ["price", "rent"])
    rent = frame.loc[10:, "rent"]
    assert quantities.distributions["rent"].mean == pytest.approx(rent.mean())
    assert any("'rent' is positive and skewed" in text for text in quantities.warnings)
    log = summary_of(read(folder, "price,rent", transform="log"))
    assert not any("skewed" in text for text in log.warnings)
    text = text_of("t.csv", quantities)
    assert "regression of price, rent" in text
    assert "rent: mean" in text


def test_a_column_that_gives_one_of_several_targets_away_is_named(folder: Path) -> None:
    """`a` decides `wet` alone, and nothing decides the others."""
    assert any("'a' alone gives" in text for text in summary_of(read(folder, "wet,cold")).warnings)
