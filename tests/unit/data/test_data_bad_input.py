"""Every fault of the data gives one line with the problem and a hint."""

from __future__ import annotations

import gzip
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.data_files import arrays, cifar, images, table, write_idx
from trainstack.search.data.load import load
from trainstack.spaces.errors import RequestError


def _npz(path, task="auto", target=None, **changed):
    data = {**arrays(), **changed}
    np.savez(path / "a.npz", **{name: v for name, v in data.items() if v is not None})
    return load(str(path / "a.npz"), target, task)


def _hint(path, name, values):
    with pytest.raises(RequestError) as caught:
        _csv(path, name, **{name: values})
    return str(caught.value).rpartition("; ")[2]


def _csv(path, target="price", task="auto", **changed):
    table().assign(**changed).to_csv(path / "t.csv", index=False)
    return load(str(path / "t.csv"), target=target, task=task)


def _file(path, name, content, target=None):
    (path / name).write_bytes(content)
    return load(str(path / name), target=target)


def _parquet(path, **changed):
    table().assign(**changed).to_parquet(path / "t.parquet")
    return load(str(path / "t.parquet"), target="price")


def _holed(value):
    x = arrays()["x_train"].copy()
    x[7, 2] = value
    return x


def _idx(path, spoil):
    spoil(images(path / "i"))
    return load(str(path / "i"))


def _cifar_with_code(path):
    folder = cifar(path / "cifar10")
    (folder / "data_batch_3").write_bytes(pickle.dumps({b"data": print, b"labels": []}))
    return load("cifar10")


def _small(path):
    np.savez(path / "a.npz", **arrays())
    return load(str(path / "a.npz"), limit_bytes=1000)


def _large_table(path, ending):
    getattr(table(), f"to_{ending}")(path / f"t.{ending}")
    return load(str(path / f"t.{ending}"), target="price", limit_bytes=1000)


def _twice(path):
    cells = pa.array(np.arange(60.0))
    pq.write_table(pa.Table.from_arrays([cells] * 3, ["a", "b", "a"]), path / "t.parquet")
    return load(str(path / "t.parquet"), target="b")


def _indexed(path):
    table().set_index("age").to_parquet(path / "t.parquet")
    return load(str(path / "t.parquet"), target="age")


RARE = np.where(np.arange(60) < 3, 2, np.arange(60) % 2)
DATES = pd.date_range("2020-01-01", periods=200)

# (action, words of the line)
CASES = {
    "unknown name": (lambda p: load("digit"), "unknown data set|did you mean 'digits'"),
    "no such file": (lambda p: load("rows.csv.gz"), "there is no file|rows.csv.gz"),
    "no name": (lambda p: load(""), "unknown data set"),
    "huge field": (lambda p: _file(p, "t.csv", b'a,"' + b"x" * 200_000, "a"), "not CSV"),
    "missing file": (lambda p: load(str(p / "no.csv")), "there is no file"),
    "missing file, bare name": (lambda p: load("nowhere.npz"), "there is no file"),
    "empty csv": (lambda p: _file(p, "t.csv", b"", "a"), "is empty"),
    "empty npz": (lambda p: _file(p, "a.npz", b""), "is empty"),
    "separator line": (
        lambda p: _file(p, "t.csv", b"\xef\xbb\xbfsep=;\r\na;b\r\n1;2\r\n", "a"),
        "the first line|for Excel (sep=;)|delete that line",
    ),
    "packed": (lambda p: _file(p, "t.csv.gz", gzip.compress(b"a\n1"), "a"), "ends in '.gz'|unpack"),
    "a sheet": (lambda p: _file(p, "t.xlsx", b"PK", "a"), "ends in '.xlsx'|save the sheet as .csv"),
    "blank lines alone": (lambda p: _file(p, "t.csv", b"\n\n", "a"), "is empty"),
    "header alone": (lambda p: _file(p, "t.csv", b"a,b\n", "a"), "no rows"),
    "unknown ending": (lambda p: _file(p, "t.xlsx", b"x"), "'.xlsx'|.parquet"),
    "no such task": (
        lambda p: load("digits", task="cluster"),
        "--task cluster|one of auto, classification, multilabel, regression",
    ),
    "another task": (lambda p: load("digits", task="regression"), "classification"),
    "target for arrays": (lambda p: load("digits", target="a"), "--target a|no --target"),
    "no target": (lambda p: _csv(p, target=None), "--target COLUMN|columns: age, rooms"),
    "misspelt target": (lambda p: _csv(p, "prise"), "no column 'prise'|'price'"),
    "text target": (lambda p: _csv(p, "kind", "regression"), "'flat'|numbers"),
    "infinite target": (lambda p: _csv(p, price=np.inf), "the target 'price'|infinite"),
    "one class": (lambda p: _csv(p, "kind", kind="flat"), "single class"),
    "one value": (lambda p: _csv(p, task="regression", price=2.0), "every target"),
    "huge targets": (
        lambda p: _csv(p, price=table().price * 1e35),
        "numbers up to 1e+36|another unit",
    ),
    "tiny targets": (
        lambda p: _csv(p, price=table().price * 1e-44),
        "differ by at least 1e-36|another unit",
    ),
    "rare class": (lambda p: _csv(p, "kind", kind=["a"] * 3 + ["b"] * 197), "class 'a'|at least 5"),
    "class of weight 0": (
        lambda p: _npz(p, w_train=np.minimum(arrays()["y_train"], 1)),
        "class '0'|0 row(s) with a weight above 0|at least 5",
    ),
    "few rows with a weight": (
        lambda p: _npz(p, w_train=np.arange(60) < 9),
        "9 rows of 3 classes with a weight above 0|at least 21",
    ),
    "nearly numbers": (
        lambda p: _csv(p, street=["tall", *map(str, range(198)), "0"]),
        "'street'|mostly numbers|'tall'",
    ),
    "infinite cell": (lambda p: _csv(p, rooms=np.inf), "column 'rooms'|infinite"),
    "dates that can be read two ways": (
        lambda p: _csv(p, street=["01/02/2024", "03/04/2024"] * 100),
        "'street'|day and month are ambiguous|2024-01-31",
    ),
    "a target of dates": (lambda p: _parquet(p, price=DATES), "'price'|dates"),
    "nearly a quantity": (
        lambda p: _csv(p, price=["sold", *map(str, range(199))]),
        "'price'|mostly numbers|'sold'",
    ),
    "nested": (lambda p: _parquet(p, street=[[1, 2]] * 200), "'street'|ndarray|drop"),
    "no feature": (lambda p: _file(p, "t.csv", b"a,b\n" + b"1,2\n" * 40, "a"), "column"),
    "few rows": (lambda p: _file(p, "t.csv", b"a,b\n1.5,2\n2,3\n", "a"), "2 rows|at least 20"),
    "two delimiters": (
        lambda p: _file(p, "t.csv", b"a,b;c\n1,2;3\n", "a"),
        "commas or by semicolons",
    ),
    "long row": (lambda p: _file(p, "t.csv", b"a,b\n1,2\n1,2,3,4\n", "a"), "line 3|4 cells"),
    "short row": (lambda p: _file(p, "t.csv", b"a,b\n1,2\n\n1\n", "a"), "line 4|1 cells"),
    "row names": (lambda p: _file(p, "t.csv", b"a,b\nr1,1,2\n", "a"), "line 2|header 2"),
    "repeated name": (lambda p: _file(p, "t.csv", b"a,b,a\n1,2,3\n", "b"), "2 columns named 'a'"),
    "repeated name in parquet": (_twice, "2 columns named 'a'"),
    "target in the index": (_indexed, "no column 'age'|a column for --target"),
    "no header": (
        lambda p: _file(p, "t.csv", b"1,2.5,x\n" + b"1,2.5,y\n" * 30, "x"),
        "first line|looks like a row",
    ),
    "no header, numbers": (
        lambda p: _file(p, "t.csv", b"3,2.5\n" + b"1,2.25\n" * 30, "3"),
        "looks like a row",
    ),
    "infinite half": (lambda p: _npz(p, x_train=_holed(np.inf).astype("float16")), "row 7"),
    "targets in two dimensions": (
        lambda p: _npz(p, y_train=np.zeros((60, 2, 2))),
        "y_train|(60, 2, 2)|one target per row",
    ),
    "targets of other widths": (
        lambda p: _npz(p, y_train=np.ones((60, 2)), x_test=np.ones((9, 4)), y_test=np.ones(9)),
        "y_test|(9,)|2 columns",
    ),
    "labels that are not 0 and 1": (
        lambda p: _npz(p, "multilabel", y_train=arrays()["x_train"][:, :2]),
        "y_train|(60, 2)|0 and 1|--task regression",
    ),
    "a target for an archive": (
        lambda p: _npz(p, target="a,b", y_train=arrays()["x_train"][:, :2]),
        "--target a,b|no --target",
    ),
    "text in no encoding": (lambda p: _file(p, "t.csv", b"a,b\n1,\x81\x8d\n", "a"), "UTF-8"),
    "csv is parquet": (lambda p: _file(p, "t.csv", b"PAR1....", "a"), "not a CSV"),
    "parquet is csv": (lambda p: _file(p, "t.parquet", b"a,b\n1,2\n", "a"), "not a Parquet"),
    "npz is text": (lambda p: _file(p, "a.npz", b"hello"), "not an .npz"),
    "npz is a zip": (lambda p: _file(p, "a.npz", b"PK\5\6" + bytes(18)), "lacks x_train"),
    "NaN": (lambda p: _npz(p, x_train=_holed(np.nan)), "x_train|row 7, feature 2"),
    "infinity": (lambda p: _npz(p, x_train=_holed(-np.inf)), "x_train|row 7, feature 2"),
    "beyond float32": (
        lambda p: _npz(p, x_train=_holed(1).astype(float) * 1e300),
        "beyond float32",
    ),
    "lengths": (lambda p: _npz(p, y_train=np.arange(59) % 3), "60 rows and y_train 59"),
    "npz one class": (lambda p: _npz(p, y_train=np.zeros(60, int)), "single class"),
    "labels from 1": (lambda p: _npz(p, y_train=arrays()["y_train"] + 1), "0 to K-1|subtract 1"),
    "labels with a gap": (lambda p: _npz(p, y_train=arrays()["y_train"] * 2), "without 1"),
    "negative labels": (lambda p: _npz(p, y_train=arrays()["y_train"] - 1), "label -1"),
    "one-hot labels": (lambda p: _npz(p, y_train=np.eye(3, dtype=int)[RARE]), "argmax"),
    "npz few rows": (
        lambda p: _npz(p, x_train=np.eye(9), y_train=np.arange(9) % 3),
        "9 rows of 3 classes|at least 21",
    ),
    "npz rare class": (lambda p: _npz(p, y_train=RARE), "class '2'|3 row"),
    "text array": (lambda p: _npz(p, x_train=np.array([["a"]] * 60)), "x_train|numbers"),
    "no labels": (lambda p: _npz(p, y_train=None), "lacks y_train"),
    "half a part": (lambda p: _npz(p, x_test=np.ones((9, 4))), "lacks y_test"),
    "misspelt part": (lambda p: _npz(p, x_val=np.ones((9, 4))), "'x_val'|'x_valid'"),
    "other features": (
        lambda p: _npz(p, x_test=np.ones((3, 5)), y_test=np.arange(3)),
        "x_test|same features",
    ),
    "class only in test": (
        lambda p: _npz(p, x_test=np.ones((4, 4)), y_test=np.arange(4)),
        "without 3",
    ),
    "pickled": (lambda p: _npz(p, y_train=np.array([None] * 60)), "y_train|pickled"),
    "npz beyond memory": (_small, "of memory|at most 1.0 kB"),
    "csv beyond memory": (lambda p: _large_table(p, "csv"), "of memory"),
    "parquet beyond memory": (lambda p: _large_table(p, "parquet"), "of memory"),
    "folder without data": (lambda p: load(str(p)), "no IDX files|train-images"),
    "idx labels missing": (
        lambda p: _idx(p, lambda f: (f / "train-labels-idx1-ubyte.gz").unlink()),
        "lacks train-labels",
    ),
    "idx cut short": (
        lambda p: _idx(
            p,
            lambda f: (f / "train-images-idx3-ubyte.gz").write_bytes(
                gzip.compress(gzip.decompress((f / "train-images-idx3-ubyte.gz").read_bytes())[:99])
            ),
        ),
        "83 bytes|360",
    ),
    "gzip cut short": (
        lambda p: _idx(p, lambda f: _shorten(f / "train-images-idx3-ubyte.gz")),
        "cannot be unpacked",
    ),
    "not idx": (
        lambda p: _idx(p, lambda f: (f / "train-images-idx3-ubyte.gz").write_bytes(b"hello")),
        "not an IDX",
    ),
    "idx lengths": (
        lambda p: _idx(p, lambda f: write_idx(f / "t10k-labels-idx1-ubyte.gz", np.arange(9) % 2)),
        "10 rows and y_test 9",
    ),
    "cifar that runs code": (_cifar_with_code, "data_batch_3|not a CIFAR-10"),
    "mnist nowhere": (
        lambda p: load("mnist"),
        "share/datasets/mnist|mnist.npz|keras.datasets",
    ),
}


def _shorten(path):
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_clear_line(case, tmp_path, monkeypatch):
    """Each fault raises RequestError, in one line with the expected words."""
    monkeypatch.setenv("TRAINSTACK_DATA", str(tmp_path))
    monkeypatch.setenv("TRAINSTACK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    act, words = CASES[case]
    with pytest.raises(RequestError) as caught:
        act(tmp_path)
    assert "\n" not in str(caught.value)
    for word in words.split("|"):
        assert word.replace("\\", "") in str(caught.value)


@pytest.mark.parametrize("number", [True, False])
def test_only_numbers_are_advised_to_be_a_quantity(number, tmp_path):
    """The hint about a rare class speaks of regression if the classes are numbers."""
    classes = np.where(np.arange(200) < 3, "7", "9")
    named = classes if number else np.char.add("c", classes)
    assert ("regression" in _hint(tmp_path, "kind", named)) == number


def test_data_within_the_limit_loads(tmp_path):
    """Data below the memory limit is loaded."""
    np.savez(tmp_path / "a.npz", **arrays())
    assert load(str(tmp_path / "a.npz"), limit_bytes=10_000).rows == 60
