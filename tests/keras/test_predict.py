"""Predictions of an exported model for new rows, in every form that they are given."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from tests.support.exported_models import exported
from trainstack.search.data import new_tables
from trainstack.spaces.errors import RequestError
from trainstack.workers.tasks import predict as task
from trainstack.workers.tasks.predict import predict
from trainstack.workers.tasks.predictor import Predictor

pytestmark = pytest.mark.keras
ROWS = 300


def table() -> pd.DataFrame:
    """Numbers with gaps, percentages, dates, categories with gaps, words; two kinds of target."""
    rng = np.random.default_rng(0)
    count = np.arange(ROWS)
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(count % 40, "D")
    return pd.DataFrame(
        {
            "x": np.where(count % 9 == 0, np.nan, rng.normal(size=ROWS).round(3)),
            "share": [f"{k % 40}%" for k in count],
            "when": when.strftime("%d.%m.%Y"),
            "town": [["Ede", "Köln", None][k % 3] for k in count],
            "open": [["yes", "no"][k % 2] for k in count],
            "kind": [["flat", "house", "boat"][k % 3] for k in rng.permutation(count)],
            "price": rng.uniform(1, 9, ROWS).round(2),
        }
    )


class Model:
    """A model of the table, and files of rows beside it."""

    def __init__(self, folder: Path, target: str) -> None:
        self.folder, self.target = folder, target
        table().to_csv(folder / "train.csv", index=False)
        both = {"kind", "price"} - {*target.split(",")}
        self.path = exported(folder, str(folder / "train.csv"), target, **left_out(*both))

    def asked(self, source: Path, **changed: Any) -> list[dict[str, Any]]:
        """Return the answers to a request."""
        usual = {"output": None, "evaluate": False, "interval": None, "records": False}
        usual |= {"file": str(self.path), "source": str(source), "own_metric": None}
        return [*predict({**usual, **changed})]

    def frame(self, source: Path, **changed: Any) -> pd.DataFrame:
        """Return the predictions as a data frame."""
        text = "".join(answer.get("text", "") for answer in self.asked(source, **changed))
        return pd.read_csv(io.StringIO(text))

    def written(self, frame: pd.DataFrame, ending: str = "csv") -> Path:
        """Write rows beside the model."""
        path = self.folder / f"rows.{ending}"
        frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
        return path


def left_out(*names: str) -> dict[str, Any]:
    """Return the arguments of `load` that leave columns out."""
    from trainstack.search.data.overrules import Overrules

    return {"overrules": Overrules(drop=names)}


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of the price."""
    return Model(tmp_path_factory.mktemp("prices"), "price")


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of the kind."""
    return Model(tmp_path_factory.mktemp("kinds"), "kind")


def by_the_script(model: Model, frame: pd.DataFrame) -> np.ndarray:
    """Return the model's outputs for texts that are parsed here, by hand."""
    days = pd.to_datetime(frame["when"], format="%d.%m.%Y")
    parsed = {
        "x": frame["x"],
        "share": frame["share"].str.rstrip("%").astype(float),
        "when": (days - pd.Timestamp("2024-01-01")).dt.days,
        "when month": days.dt.month,
        "when day": days.dt.day,
        "when weekday": days.dt.day_of_week,
        "town": frame["town"].fillna("").astype(object),
        "open": frame["open"].astype(object),
    }
    network: Any = keras.models.load_model(model.path)
    return np.asarray(network({each.name: np.array(parsed[each.name]) for each in network.inputs}))


def test_a_table_is_predicted_in_its_order(
    prices: Model, kinds: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of the chunks, the rows' predictions are the model's, in their order."""
    frame = table().sample(frac=1.0, random_state=0)
    monkeypatch.setattr(task, "CHUNK_ROWS", 37)
    found = prices.frame(prices.written(frame), interval=0.9)
    assert [*found] == ["prediction", "low", "high"]
    np.testing.assert_allclose(found["prediction"], by_the_script(prices, frame)[:, 0], rtol=1e-5)
    widths = found["high"] - found["low"]
    np.testing.assert_allclose(widths, widths[0])
    answers = by_the_script(kinds, frame)
    found = kinds.frame(kinds.written(frame))
    names = ["boat", "flat", "house"]
    assert [*found] == ["prediction", *(f"p_{name}" for name in names)]
    np.testing.assert_allclose(found.iloc[:, 1:], answers, atol=1e-6)
    assert [*found["prediction"]] == [names[k] for k in answers.argmax(axis=1)]


def test_forms_of_a_file_change_nothing(kinds: Model) -> None:
    """Other columns, another order, Parquet's types and records give the same predictions."""
    frame = table()
    expected = kinds.frame(kinds.written(frame))
    shuffled = frame[[*reversed(frame.columns)]].drop(columns="kind").assign(other=1)
    answers = kinds.asked(kinds.written(shuffled))
    assert answers[0] == {"note": "Column(s) 'other' are ignored: training had none."}
    assert answers[-1] == {"metrics": None, "evaluated": 0}
    pd.testing.assert_frame_equal(kinds.frame(kinds.written(shuffled)), expected)
    typed = frame.assign(when=pd.to_datetime(frame["when"], format="%d.%m.%Y"))
    pd.testing.assert_frame_equal(kinds.frame(kinds.written(typed, "parquet")), expected)
    records = [
        row
        for a in kinds.asked(kinds.written(frame), records=True)
        if "records" in a
        for row in a["records"]
    ]
    pd.testing.assert_frame_equal(pd.DataFrame(records), expected)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_index_is_kept(kinds: Model, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index of a Parquet file is that of the predictions, in a file of either format."""
    monkeypatch.setattr(task, "CHUNK_ROWS", 64)
    frame = table().set_index(pd.Index([f"r{k}" for k in range(ROWS)], name="key"))
    output = kinds.folder / f"predicted.{ending}"
    answers = kinds.asked(kinds.written(frame, "parquet"), output=str(output))
    assert [a["rows"] for a in answers if "rows" in a] == [64, 128, 192, 256, 300]
    read = pd.read_csv(output, index_col="key") if ending == "csv" else pd.read_parquet(output)
    pd.testing.assert_index_equal(read.index, frame.index, exact=False)
    plain = kinds.frame(kinds.written(table()))
    np.testing.assert_allclose(read["p_boat"], plain["p_boat"], atol=1e-12)
    assert not [*kinds.folder.glob("*.part")]


def test_what_training_did_not_know_is_told(kinds: Model) -> None:
    """Unknown categories are counted over all rows; they and gaps are treated as in training."""
    frame = table()
    frame.loc[:9, "town"] = "Bonn"
    answers = kinds.asked(kinds.written(frame))
    notes = [answer["note"] for answer in answers if "note" in answer]
    assert notes == ["Column 'town': 10 value(s) unknown in training, such as 'Bonn'."]
    np.testing.assert_allclose(
        kinds.frame(kinds.written(frame)).iloc[:, 1:], by_the_script(kinds, frame), atol=1e-6
    )


def test_metrics_are_those_of_the_rows_with_a_target(prices: Model, kinds: Model) -> None:
    """Metrics equal scikit-learn's over the rows whose target is known."""
    frame = table()
    frame.loc[::10, "kind"] = None
    rest = frame["kind"].notna()
    answers = kinds.asked(kinds.written(frame), evaluate=True)
    p = by_the_script(kinds, frame[rest])
    found = answers[-1]["metrics"]
    assert answers[-1]["evaluated"] == rest.sum() == ROWS - 30
    y = frame["kind"][rest]
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p), rel=1e-5)
    names = np.array(["boat", "flat", "house"])
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, names[p.argmax(1)]))
    own = {"file": "m.py", "function": "longest", "direction": "minimize"}
    own["code"] = "def longest(y, p, w):\n    return float(abs(y - p).max())\n"
    found = prices.asked(prices.written(table()), evaluate=True, own_metric=own)[-1]["metrics"]
    errors = table()["price"] - by_the_script(prices, table())[:, 0]
    assert found["rmse"] == pytest.approx(math.sqrt((errors**2).mean()), rel=1e-5)
    assert found["longest"] == pytest.approx(abs(errors).max(), rel=1e-5)


def test_several_targets_have_columns_of_their_own(tmp_path: Path) -> None:
    """Names of predictions and ends of intervals end in the target's name; metrics are means."""
    frame = table().drop(columns="kind").assign(size=np.linspace(5, 50, ROWS).round(1))
    frame.to_csv(tmp_path / "two.csv", index=False)
    model = Model.__new__(Model)
    model.folder = tmp_path
    model.path = exported(tmp_path, str(tmp_path / "two.csv"), "price,size")
    found = model.frame(tmp_path / "two.csv", interval=0.8)
    ends = ("prediction", "low", "high")
    assert [*found] == [f"{end}_{name}" for name in ("price", "size") for end in ends]
    given = model.asked(tmp_path / "two.csv", evaluate=True)[-1]["metrics"]
    each = [
        math.sqrt(((found[f"prediction_{name}"] - frame[name]) ** 2).mean())
        for name in ("price", "size")
    ]
    assert given["rmse"] == pytest.approx(np.mean(each))


def test_labels_have_a_probability_of_their_second_value(tmp_path: Path) -> None:
    """Of labels the more probable value is predicted, beside the second value's probability."""
    frame = table().drop(columns=["kind", "price"])
    frame = frame.assign(wet=frame["open"], hot=[["no", "yes"][k % 5 == 0] for k in range(ROWS)])
    frame.drop(columns="open").to_csv(tmp_path / "labels.csv", index=False)
    model = Model.__new__(Model)
    model.folder = tmp_path
    model.path = exported(tmp_path, str(tmp_path / "labels.csv"), "wet,hot")
    found = model.frame(tmp_path / "labels.csv")
    assert [*found] == ["prediction_wet", "p_wet_yes", "prediction_hot", "p_hot_yes"]
    expected = np.where(found["p_hot_yes"] > 0.5, "yes", "no")
    assert [*found["prediction_hot"]] == [*expected]
    given = model.asked(tmp_path / "labels.csv", evaluate=True)[-1]["metrics"]
    right = [(found[f"prediction_{n}"] == frame[n]).mean() for n in ("wet", "hot")]
    assert given["accuracy"] == pytest.approx(np.mean(right))


def test_arrays_are_predicted(tmp_path: Path) -> None:
    """A named data set gives all its rows, an archive with `x` the rows in it."""
    from sklearn.datasets import load_wine

    model = Model.__new__(Model)
    model.folder, model.path = tmp_path, exported(tmp_path, "wine", None)
    x, y = load_wine(return_X_y=True)
    everything = model.frame(Path("wine"))
    network: Any = keras.models.load_model(model.path)
    np.testing.assert_allclose(everything.iloc[:, 1:], np.asarray(network(x)), atol=1e-6)
    np.savez(tmp_path / "new.npz", x=x[5:9], y=np.array(["class_0", "class_1"] * 2))
    some = model.frame(tmp_path / "new.npz")
    np.testing.assert_allclose(some.iloc[:, 1:], everything.iloc[5:9, 1:], atol=1e-6)
    evaluated = [model.asked(s, evaluate=True)[-1] for s in (Path("wine"), tmp_path / "new.npz")]
    assert [answer["evaluated"] for answer in evaluated] == [len(y), 4]


X = np.zeros((4, 10))
# Arrays of an archive for a regression of ten features → words of the line.
UNSUITABLE: dict[str, tuple[dict[str, Any], str]] = {
    "no row": ({"x": np.array(3.0), "y": np.array(1.0)}, "has no rows"),
    "text": ({"x": np.full((4, 10), "a")}, "holds <U1 values"),
    "beyond": ({"x": X + 1e39}, r"40 value\(s\) that are NaN, infinite or beyond float32"),
    "two targets": ({"x": X, "y": np.zeros((4, 2))}, r"y in .* has shape \(4, 2\)"),
    "target of text": ({"x": X, "y": np.array([*"abcd"])}, "y in .* holds <U1 values"),
    "target missing": ({"x": X, "y": np.full(4, np.nan)}, "y in .* at row 0"),
    "weights of 0": ({"x": X, "y": np.ones(4), "w": np.zeros(4)}, "every weight is 0"),
    "weights below 0": ({"x": X, "y": np.ones(4), "w": -np.ones(4)}, "row 1 has the weight -1"),
    "two weights": ({"x": X, "y": np.ones(4), "w": np.ones((4, 2))}, "expected 4 numbers"),
}


@pytest.fixture(scope="module")
def quantities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of arrays of ten features, which predicts a quantity."""
    return exported(tmp_path_factory.mktemp("arrays"), "diabetes", None)


def evaluated(model: Path, arrays: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the answer about the metrics of an archive's rows."""
    np.savez(folder / "new.npz", **arrays)
    request = {"source": str(folder / "new.npz"), "output": None, "interval": None}
    request |= {"file": str(model), "evaluate": "y" in arrays, "records": True, "own_metric": None}
    return [*predict(request)][-1]


@pytest.mark.parametrize("fault", UNSUITABLE)
def test_unsuitable_arrays_are_one_line(fault: str, quantities: Path, tmp_path: Path) -> None:
    """Each array is checked as in training, with its name."""
    arrays, words = UNSUITABLE[fault]
    with pytest.raises(RequestError, match=words) as refused:
        evaluated(quantities, arrays, tmp_path)
    assert "\n" not in str(refused.value)


def test_targets_may_be_a_column_or_stored_as_another_kind(
    quantities: Path, tmp_path: Path
) -> None:
    """Shape and kind of the targets change no metric, as they change nothing in training."""
    y, w = np.arange(4.0), np.arange(1.0, 5.0)
    alike = [
        evaluated(quantities, {"x": X, "y": targets, "w": weights}, tmp_path)
        for targets, weights in ((y, w), (y.astype(int)[:, None], w[:, None]))
    ]
    assert alike[0]["evaluated"] == 4
    assert alike[0] == alike[1]
    digits = exported(tmp_path, "digits", None)
    x = np.zeros((4, 64))
    kinds = [evaluated(digits, {"x": x, "y": y.astype(k)}, tmp_path) for k in (int, float)]
    assert kinds[0] == kinds[1]


def test_many_models_in_one_program_print_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Models that are loaded one after the other, as by cross-validation, give no warning."""
    path, rows = exported(tmp_path, "wine", None), np.ones((3, 13))
    capfd.readouterr()
    answers = [Predictor(path).of_rows(rows) for _ in range(8)]
    assert all(np.array_equal(answer, answers[0]) for answer in answers)
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []


# What is asked → words of the line.
REFUSED: dict[str, tuple[Callable[[Model], Any], str]] = {
    "a column is missing": (
        lambda m: m.asked(m.written(table().drop(columns=["x", "town"]))),
        "rows.csv lacks the column(s) 'x', 'town'",
    ),
    "the target is missing": (
        lambda m: m.asked(m.written(table().drop(columns="price")), evaluate=True),
        "lacks the column(s) 'price'",
    ),
    "another kind": (
        lambda m: m.asked(m.written(table().assign(x="blue"))),
        "line 2 of rows.csv, column 'x': 'blue' is no number",
    ),
    "another date": (
        lambda m: m.asked(m.written(table().assign(when="2024-01-01"))),
        "line 2 of rows.csv, column 'when': '2024-01-01' is no date; expected a date such as 01.01",
    ),
    "infinite": (lambda m: m.asked(m.written(table().assign(x="inf"))), "column 'x' holds 300"),
    "no rows": (lambda m: m.asked(m.written(table().iloc[:0])), "rows.csv has no rows"),
    "no file": (lambda m: m.asked(m.folder / "none.csv"), "there is no file"),
    "no table": (lambda m: m.asked(Path("wine")), "a .csv or .parquet file"),
    "too much coverage": (
        lambda m: m.asked(m.written(table()), interval=0.999),
        "--interval 0.999 with 48 validation rows",
    ),
    "no target at all": (
        lambda m: m.asked(m.written(table().assign(price="")), evaluate=True),
        "no row has a value of the target",
    ),
    "a target of text": (
        lambda m: m.asked(m.written(table().assign(price="dear")), evaluate=True),
        "holds text",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_predicted_is_one_line(fault: str, prices: Model) -> None:
    """The message names the file, the line and the column, and no output is left."""
    ask, words = REFUSED[fault]
    with pytest.raises(RequestError) as raised:
        ask(prices)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_classes_have_no_intervals(kinds: Model) -> None:
    """An interval for classes is refused, as is a class that training had not."""
    with pytest.raises(RequestError, match="--interval for classes"):
        kinds.asked(kinds.written(table()), interval=0.9)
    other = table()
    other.loc[4, "kind"] = "tent"
    with pytest.raises(RequestError, match=r"line 6 of rows\.csv: the target 'kind' is 'tent'"):
        kinds.asked(kinds.written(other), evaluate=True)


def test_a_failure_leaves_no_file(prices: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a later chunk cannot be read, neither the output nor a part of it is left."""
    monkeypatch.setattr(task, "CHUNK_ROWS", 50)
    frame = table().astype({"x": object})
    frame.loc[200, "x"] = "blue"
    output = prices.folder / "never.csv"
    with pytest.raises(RequestError, match=r"line 202 of rows\.csv"):
        prices.asked(prices.written(frame), output=str(output))
    assert not [*prices.folder.glob("never*")]


def test_another_file_is_refused(tmp_path: Path) -> None:
    """A file that is no archive, or that Keras wrote without a description, is one line."""
    (tmp_path / "m.keras").write_text("no archive")
    inputs = keras.Input((1,))
    keras.Model(inputs, inputs).save(tmp_path / "plain.keras")
    for name in ("m.keras", "plain.keras"):
        model = Model.__new__(Model)
        model.path = tmp_path / name
        with pytest.raises(RequestError, match="no model that export wrote"):
            model.asked(Path("wine"))
    assert new_tables.CHUNK_ROWS == task.CHUNK_ROWS
