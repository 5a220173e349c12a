"""Several targets, from launch to export: two skewed quantities, and three labels."""

from __future__ import annotations

import io
import json
import re
import runpy
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split

from tests.support.alone import each_alone
from tests.support.shell import Shell, adds_up, exported, refused
from tests.support.worker_here import concluded
from trainstack.spaces.stack import Stack

pytestmark = [
    *(pytest.mark.acceptance, pytest.mark.keras),
    pytest.mark.usefixtures("requests_here"),
]
ROWS = 400
QUANTITIES, LABELS = ["price", "rent"], ["wet", "cold", "loud, at night"]


def rooms() -> pd.DataFrame:
    """Return rows with two skewed quantities and three labels in different spellings."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(ROWS, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["town"] = rng.choice(["Amstelveen", "Béziers", "Coimbra"], ROWS)
    frame.loc[::7, "a"] = np.nan
    noise = 0.1 * rng.normal(size=(ROWS, 2))
    frame["price"] = np.exp(12 + x[:, 0] + noise[:, 0])
    frame["rent"] = np.exp(6 + 0.5 * x[:, 1] - 0.5 * x[:, 2] + noise[:, 1])
    frame["wet"] = np.where(x[:, 0] > 0, "yes", "no")
    frame["cold"] = (x[:, 1] > 0.3).astype(int)
    frame["loud, at night"] = x[:, 2] > 0
    return frame


def launched(shell: Shell, folder: Path, columns: list[str], *flags: object) -> Path:
    """Write the features and some targets, and run a study of that name to its end."""
    path = folder / "rooms.csv"
    rooms()[["a", "b", "c", "town", *columns]].to_csv(path, index=False)
    stack = Stack.of(units=[32, 16], activation="relu", batch_size=16)
    (folder / "stacks.json").write_text(json.dumps([stack.to_json()]), "utf-8")
    concluded(
        *(shell, path, *flags, "--stacks", folder / "stacks.json", "--no-models"),
        *("--epochs", "20", "--replicates", "2", "--folds", "1"),
    )
    return path


@pytest.fixture(scope="module")
def quantities(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CSV file of the finished study `quantities`, trained on logarithms."""
    return launched(
        *(shell, tmp_path_factory.mktemp("quantities"), QUANTITIES),
        *("--target", "price, rent", "--target-transform", "log", "--study", "quantities"),
    )


@pytest.fixture(scope="module")
def labels(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CSV file of the finished study `labels`."""
    return launched(
        *(shell, tmp_path_factory.mktemp("labels"), LABELS),
        *("--target", 'wet,cold,"loud, at night"', "--study", "labels"),
    )


def run_alone(shell: Shell, study: str, folder: Path) -> tuple[pd.DataFrame, str]:
    """Export a study's model and program, and run them without this package.

    Returns:
        The script's predictions for the raw rows, and what the program prints.
    """
    exported(shell, study, "keras", folder / "mine.keras")
    program = exported(shell, study, "python", folder / "train.py")
    rows = folder / "rows.csv"
    rooms()[["a", "b", "c", "town"]].to_csv(rows, index=False)
    predicted, trained = each_alone(folder, (folder / "mine.predict.py", rows), (program,))
    return pd.read_csv(io.StringIO(predicted)), trained


def held_out(strata: pd.Series | None = None) -> np.ndarray:
    """Return the test rows: a fifth, the same for every seed, stratified if wanted."""
    return train_test_split(np.arange(ROWS), test_size=0.2, random_state=0, stratify=strata)[1]


def figures(shell: Shell, study: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the first seed's test figures: the means, and each target's own."""
    from trainstack.search.database import embedded_postgres
    from trainstack.search.database.connection import engine, parse_url
    from trainstack.search.queue import queries

    here = engine(parse_url(embedded_postgres.url_of(shell.home / "postgres")))
    measured = queries.measurement(here, study)
    here.dispose()
    assert measured is not None
    chosen = measured["chosen"]
    each = {
        row["target"]: {name: values[0] for name, values in row["test"].items()}
        for row in chosen["targets"]
    }
    return {name: values[0] for name, values in chosen["test"].items()}, each


@pytest.fixture(scope="module")
def quantities_alone(shell: Shell, quantities: Path) -> tuple[pd.DataFrame, str]:
    """`run_alone` for `quantities`, whose exports stay beside its table."""
    return run_alone(shell, "quantities", quantities.parent)


@pytest.fixture(scope="module")
def predicted(quantities_alone: tuple[pd.DataFrame, str]) -> pd.DataFrame:
    """The predictions of the exported script of `quantities`."""
    return quantities_alone[0]


@pytest.fixture(scope="module")
def labels_alone(shell: Shell, labels: Path) -> tuple[pd.DataFrame, str]:
    """`run_alone` for `labels`."""
    return run_alone(shell, "labels", labels.parent)


def test_quantities_are_predicted_in_their_own_units(shell: Shell, predicted: pd.DataFrame) -> None:
    """The script's predictions give each target's recorded rmse, and their mean is the study's."""
    rows = held_out()
    assert list(predicted) == QUANTITIES
    expected = {
        name: root_mean_squared_error(rooms()[name].iloc[rows], predicted[name].iloc[rows])
        for name in QUANTITIES
    }
    means, each = figures(shell, "quantities")
    assert {name: found["rmse"] for name, found in each.items()} == pytest.approx(
        expected, rel=1e-5
    )
    assert means["rmse"] == pytest.approx(np.mean([*expected.values()]), rel=1e-5)
    for name in QUANTITIES:
        assert expected[name] < 0.8 * rooms()[name].std()


def test_the_reloaded_model_gives_the_scripts_predictions(
    predicted: pd.DataFrame, quantities: Path
) -> None:
    """Keras reloads the model, which maps a table's columns to both units."""
    model: Any = keras.models.load_model(quantities.with_name("mine.keras"))
    script = quantities.with_name("mine.predict.py")
    rows = runpy.run_path(str(script))["features"](rooms())
    found = np.asarray(model(rows, training=False))
    np.testing.assert_allclose(found, predicted.to_numpy(), rtol=1e-5)


def test_the_recommendation_gives_each_target(shell: Shell, quantities: Path) -> None:
    """It holds each target's rmse beside the mean over targets, as do the baselines."""
    adds_up(shell.json("status", "quantities"), over=True)
    found = shell.json("recommend", "quantities")
    assert [row["target"] for row in found["targets"]] == QUANTITIES
    each = [row["test"]["rmse"]["mean"] for row in found["targets"]]
    assert found["test"]["rmse"]["mean"] == pytest.approx(np.mean(each))
    assert found["trivial"]["test"]["rmse"] > found["test"]["rmse"]["mean"]
    assert found["yardstick"]["test"]["rmse"] > 0


def test_the_exported_code_trains_on_logarithms(
    shell: Shell, quantities_alone: tuple[pd.DataFrame, str]
) -> None:
    """It runs without this package and reaches the recorded rmse within the seeds' noise."""
    rmse = float(re.findall(r"rmse ([\d.]+)", quantities_alone[1])[0])
    assert rmse == pytest.approx(figures(shell, "quantities")[0]["rmse"], rel=0.5)


def test_a_trial_of_several_targets_is_replayed(shell: Shell, quantities: Path) -> None:
    """Its curve is the recorded one."""
    found = shell.json("replay", "quantities", "0")
    assert (found["same"], found["epochs"]) == (True, 20)


def test_labels_are_predicted_by_their_values(
    shell: Shell, labels_alone: tuple[pd.DataFrame, str]
) -> None:
    """The script gives each label's value and probability, which score as recorded."""
    combined = rooms()[LABELS].astype(str).agg(" ".join, axis=1)
    assert combined.value_counts().min() >= 5
    predicted, rows = labels_alone[0], held_out(combined)
    assert list(predicted)[:2] == ["wet", "p(wet=yes)"]
    truth, answer = rooms()[LABELS].astype(str).iloc[rows], predicted.iloc[rows]
    on = {"wet": "yes", "cold": "1", "loud, at night": "True"}
    accuracy = [accuracy_score(truth[name], answer[name].astype(str)) for name in LABELS]
    entropy = [
        log_loss(truth[name] == value, answer[f"p({name}={value})"]) for name, value in on.items()
    ]
    means, each = figures(shell, "labels")
    assert means["accuracy"] == pytest.approx(np.mean(accuracy))
    assert [each[name]["accuracy"] for name in LABELS] == pytest.approx(accuracy)
    assert means["loss"] == pytest.approx(np.mean(entropy), rel=1e-4)
    assert np.mean(accuracy) > 0.8


def test_the_labels_exported_code_runs_alone(
    shell: Shell, labels_alone: tuple[pd.DataFrame, str]
) -> None:
    """It prints the mean accuracy over labels, near the recorded one."""
    accuracy = float(re.findall(r"accuracy ([\d.]+)", labels_alone[1])[0])
    assert accuracy == pytest.approx(figures(shell, "labels")[0]["accuracy"], abs=0.12)


def test_the_report_names_each_target(shell: Shell, labels: Path, tmp_path: Path) -> None:
    """Its table has one row for every label."""
    done = shell.within("report", "labels", "-o", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "report" / "report.md").read_text("utf-8")
    for name in LABELS:
        assert f"| {name} |" in text


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--target", "price,prise"), "no column 'prise'"),
        (("--target", "rent,rent"), "names 'rent' twice"),
        (("--target", "price,town"), "'town' has 3 class(es)"),
        (("--target", "a", "--target-transform", "log"), "not positive"),
        (("--target", "a", "--target-transform", "root"), "--target-transform"),
    ],
)
def test_wrong_targets_are_refused(
    shell: Shell, quantities: Path, flags: tuple[str, ...], message: str
) -> None:
    """One line says what is wrong, and the command ends with 2."""
    assert message in refused(shell.within("launch", quantities, *flags, "--detach"), 2)
