"""A study's model predicts new rows: from the command line, and with TensorFlow alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from tests.support.data_files import houses
from tests.support.shell import Shell, refused
from tests.support.worker_here import concluded
from trainstack.search.evidence.default_model import KINDS
from trainstack.spaces.stack import Stack

pytestmark = [
    *(pytest.mark.acceptance, pytest.mark.keras),
    pytest.mark.usefixtures("requests_here"),
]
ROWS = 1200
STUDY = "flats"

# Reads a CSV's rows with pandas and prints each model's predictions; only TensorFlow is needed.
ALONE = """
import json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("trainstack", "search", "spaces", "workers", "sklearn"):
            raise ModuleNotFoundError(f"{name} is not installed")

sys.meta_path.insert(0, Blocked())
import keras
import pandas as pd

rows = pd.read_csv(sys.argv[1], keep_default_na=False, na_values={"rooms": [""]})
predicted = []
for path in sys.argv[2:]:
    model = keras.models.load_model(path)
    inputs = {each.name: rows[each.name].to_numpy() for each in model.inputs}
    predicted.append(model(inputs, training=False).numpy().ravel().tolist())
json.dump(predicted, sys.stdout)
"""


def flats() -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table and the positions of its test rows, of which some have a town of their own."""
    frame = houses(ROWS)
    _, held = train_test_split(np.arange(ROWS), test_size=0.2, random_state=0)
    frame.loc[held[:20], "town"] = "Delft"
    return frame, held


@pytest.fixture(scope="module")
def table(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CSV file of a finished study with folds, whose model is trained on all other rows."""
    path = tmp_path_factory.mktemp("flats") / "flats.csv"
    flats()[0].to_csv(path, index=False)
    stacks = [Stack.of(units=[n], activation="relu", batch_size=16).to_json() for n in (32, 24)]
    path.with_suffix(".json").write_text(json.dumps(stacks), "utf-8")
    concluded(
        *(shell, path, "--target", "price", "--stacks", path.with_suffix(".json")),
        *("--epochs", "20", "--replicates", "2", "--folds", "2", "--study", STUDY),
    )
    return path


@pytest.fixture(scope="module")
def tested(table: Path) -> Path:
    """A CSV file of the rows that the study tested on."""
    path = table.with_name("tested.csv")
    frame, held = flats()
    frame.iloc[held].to_csv(path, index=False)
    return path


def exported_rmse(shell: Shell, kind: str = "") -> float:
    """Return the recorded test figure of a model; without a kind of the one that is exported."""
    models = shell.json("recommend", STUDY)["models"]
    return models[kind or models["default"]]["test"]["rmse"]["mean"]


def test_a_study_predicts_the_rows_it_tested_on(shell: Shell, tested: Path) -> None:
    """`--evaluate` gives the recorded test figure; unknown towns are reported."""
    found = shell.json("predict", STUDY, tested, "--evaluate")
    assert found["study"] == STUDY
    assert found["rows"] == found["evaluated"] == len(found["predictions"]) == ROWS / 5
    assert found["metrics"]["rmse"] == pytest.approx(exported_rmse(shell), rel=1e-6)
    assert found["notes"] == ["Column 'town': 20 value(s) unknown in training, such as 'Delft'."]


def test_intervals_hold_as_many_rows_as_stated(shell: Shell, tested: Path, tmp_path: Path) -> None:
    """The 90 % interval holds about nine in ten of the test rows' prices."""
    output = tmp_path / "predicted.parquet"
    done = shell.within("predict", STUDY, tested, "--interval", "0.9", "-o", output)
    assert done.returncode == 0, done.stderr
    found, truth = pd.read_parquet(output), pd.read_csv(tested)["price"]
    assert [*found] == ["prediction", "low", "high"]
    covered = ((found["low"] <= truth) & (truth <= found["high"])).mean()
    assert 0.82 < covered < 0.96  # Delft's rows are unlike those of training


def test_the_file_predicts_as_the_study_does(shell: Shell, tested: Path, tmp_path: Path) -> None:
    """The exported file gives the same lines on standard output as the study."""
    done = shell.within("export", STUDY, "--format", "keras", "-o", tmp_path / "flats.keras")
    assert done.returncode == 0, done.stderr
    lines = [shell.within("predict", m, tested) for m in (STUDY, tmp_path / "flats.keras")]
    assert lines[0].stdout == lines[1].stdout
    assert lines[0].stdout.startswith("prediction\n")
    found = shell.json("predict", tmp_path / "flats.keras", tested)
    assert found["study"] is None


@pytest.fixture(scope="module")
def predicted_alone(
    shell: Shell, tested: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[float]]:
    """Each model's predictions for those rows, made from its file by one process."""
    folder = tmp_path_factory.mktemp("alone")
    models = [folder / f"{kind}.keras" for kind in KINDS]
    for kind, model in zip(KINDS, models, strict=True):
        flags = ("--format", "keras", "--model", kind, "-o", model)
        assert shell.within("export", STUDY, *flags).returncode == 0
    command = [sys.executable, "-I", "-c", ALONE, tested, *models]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return dict(zip(KINDS, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_needs_only_tensorflow(
    kind: str, shell: Shell, tested: Path, predicted_alone: dict[str, list[float]]
) -> None:
    """Without this package each model's file reproduces its recorded test figure from the CSV's
    rows, with gaps and unknown towns in them."""
    errors = np.array(predicted_alone[kind]) - pd.read_csv(tested)["price"].to_numpy()
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(exported_rmse(shell, kind), rel=1e-6)


# Arguments after `predict` → exit code and words.
WRONG: dict[str, tuple[tuple[Any, ...], int, str]] = {
    "no study": (("none-such", "rows.csv"), 4, "none-such"),
    "no model": (("none.keras", "rows.csv"), 2, "there is no file"),
    "no rows": ((STUDY, "none.csv"), 2, "there is no file none.csv"),
    "output": ((STUDY, "rows.csv", "-o", "x.txt"), 2, "-o x.txt; expected a file that ends in"),
    "coverage": ((STUDY, "rows.csv", "--interval", "90"), 2, "--interval 90"),
    "column": ((STUDY, "rows.csv"), 2, "lacks the column(s) 'rooms', 'garden', 'town'"),
    "kind": ((STUDY, "odd.csv"), 2, "line 3 of odd.csv, column 'rooms': 'many' is no number"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_request_is_one_line(fault: str, shell: Shell, table: Path, tmp_path: Path) -> None:
    """The exit code is documented, and nothing is printed on standard output."""
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n", "utf-8")
    text = "rooms,town,garden\n1,Coimbra,True\nmany,Coimbra,False\n"
    (tmp_path / "odd.csv").write_text(text, "utf-8")
    arguments, code, words = WRONG[fault]
    assert table.exists()
    assert words in refused(shell.within("predict", *arguments, cwd=tmp_path), code)
