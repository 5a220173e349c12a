"""From a data frame to a model, by import, with real studies."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine

import trainstack
from tests.support.shell import Shell
from trainstack.search.python.study import Study

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]

SMALL = {"trials": 2, "epochs": 15, "replicates": 1, "folds": 1, "workers": 1, "space": "quick"}
WINE = load_wine(as_frame=True)


@pytest.fixture(autouse=True)
def home(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process uses the shell's home."""
    for name, value in shell.environment.items():
        monkeypatch.setenv(name, value)


def wines() -> pd.DataFrame:
    """Return the wines with a text column, a gap, an index and names of classes."""
    frame = WINE.frame.copy()
    frame["region"] = np.where(frame["proline"] > 700, "north", "south")
    frame.loc[3, "ash"] = None
    frame["target"] = np.array(["barolo", "grignolino", "barbera"])[frame["target"]]
    return frame.set_index(frame.index + 1000)


@pytest.fixture(scope="module")
def study(shell: Shell) -> Study:
    """A concluded study of the wines."""
    with pytest.MonkeyPatch.context() as here:
        for name, value in shell.environment.items():
            here.setenv(name, value)
        return trainstack.launch(wines(), target="target", study="wines", yardstick=False, **SMALL)


def test_a_frame_becomes_a_model(study: Study) -> None:
    """The model that a launch returns predicts a frame's rows, with their index."""
    rows = wines().drop(columns="target")
    found, chances = study.predict(rows), study.predict_proba(rows)
    assert found.index.equals(rows.index)
    assert (found == wines()["target"]).mean() > 0.9
    assert sorted(chances.columns) == ["barbera", "barolo", "grignolino"]
    assert np.allclose(chances.sum(axis=1), 1, atol=1e-5)
    assert (chances.idxmax(axis=1) == found).all()
    assert np.array_equal(study.predict_proba(rows.iloc[5:7]), chances.iloc[5:7])
    with pytest.raises(trainstack.TrainstackError, match="lack the column"):
        study.predict(rows.drop(columns="ash"))
    with pytest.raises(trainstack.TrainstackError, match="expected a data frame"):
        study.predict(rows.to_numpy())


def test_a_study_is_shown_and_exported(study: Study, tmp_path: Path) -> None:
    """The recommendation is the document and the text of the command; files are written."""
    found = study.recommendation
    assert found.to_json()["stack_id"] == found.stack_id
    assert str(found).startswith(found.sentence[:40])
    assert "<td>validation loss</td>" in found._repr_html_()
    assert "<iframe" in study._repr_html_()
    assert study.report(tmp_path / "report").name == "report.html"
    assert study.export(tmp_path / "model.keras").is_file()
    program = study.export(tmp_path / "train.py")  # the suffix names the format
    assert "import keras" in program.read_text("utf-8")
    with pytest.raises(trainstack.TrainstackError, match="format 'onnx' is not known"):
        study.export(tmp_path / "model", format="onnx")


def test_an_estimator_learns() -> None:
    """A real fit classifies, is pickled by its model, and is not trained again."""
    settings = {**SMALL, "options": {"yardstick": False}}
    x, y = WINE.data.to_numpy(), WINE.target_names[WINE.target]
    fitted = trainstack.StackClassifier(**settings).fit(x, y)
    assert fitted.score(x, y) > 0.9
    assert fitted.classes_.tolist() == sorted(WINE.target_names)
    again = trainstack.StackClassifier(**settings).fit(x, y)
    assert again.study_ == fitted.study_
    assert len(trainstack.open_study(fitted.study_).trials()) == 2
    copy = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copy.predict_proba(x), fitted.predict_proba(x))


def test_two_programs_launch_at_once(shell: Shell) -> None:
    """Two processes that launch the same study share its budget of trials."""
    code = (
        "import trainstack\n"
        "study = trainstack.launch('wine', study='shared', trials=4, epochs=2, replicates=1,"
        " folds=1, workers=1, space='quick', yardstick=False)\n"
        "counts = study.status().counts\n"
        "print(sum(counts[k] for k in ('completed', 'pruned', 'diverged', 'infeasible')))"
    )
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=shell.canned().environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [program.communicate(timeout=240) for program in programs]
    assert said == [("4\n", "")] * 2
