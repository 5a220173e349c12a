"""Lower layers that are trained before the network, from launch to export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.exported_models import exported
from tests.support.shell import Shell, refused
from tests.support.worker_here import concluded
from trainstack.spaces.stack import Stack

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]
SMALL = {"units": [24, 12], "activation": "relu", "batch_size": 16}


def rows(folder: Path) -> Path:
    """Write an archive of two classes, most of whose rows have no label."""
    x = np.random.default_rng(0).normal(size=(260, 5)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    np.savez(folder / "few.npz", x_train=x[:120], y_train=y[:120], x_unlabelled=x[120:])
    return folder / "few.npz"


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, beside a model of its columns as `export` writes it."""
    path = rows(tmp_path_factory.mktemp("few"))
    exported(path.parent, str(path), None, hidden=24)
    return path


def test_the_data_says_how_many_rows_have_no_target(shell: Shell, few: Path) -> None:
    """`data` counts them, in words and as JSON."""
    assert shell.json("data", few)["unlabelled"] == 140
    assert shell.json("data", few, "--unlabelled", "drop")["unlabelled"] == 0
    said = shell.within("data", few).stdout
    assert "rows without a target, for pretraining 140" in said
    assert "few.npz: 120 rows" in said


def test_a_study_trains_what_is_pretrained(shell: Shell, few: Path) -> None:
    """Stacks of every kind are trained to their end, and the study is concluded."""
    kinds = ("autoencoder", "auxiliary", "reuse")
    given = [Stack.of(pretraining=kind, **SMALL).to_json() for kind in kinds]
    few.with_name("stacks.json").write_text(json.dumps(given), "utf-8")
    concluded(
        *(shell, few, "--study", "pretrained", "--stacks", few.with_name("stacks.json")),
        *("--reuse", few.with_name("model.keras"), "--unlabelled", "keep", "--epochs", "4"),
        *("--replicates", "1", "--folds", "1", "--no-yardstick", "--no-models"),
    )
    trials = shell.json("trials", "pretrained")
    assert {trial["stack"]["pretraining"] for trial in trials} == {*kinds}
    assert {trial["outcome"] for trial in trials} <= {"completed", "pruned"}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("digits", "--reuse", "MODEL"), "takes 5 inputs; expected 64, the features of this data"),
        (("digits", "--unlabelled", "keep"), "--unlabelled keep for digits; expected rows without"),
        (("few.npz", "--reuse", "few.npz"), "--reuse few.npz is no saved Keras model"),
    ],
)
def test_what_cannot_be_pretrained_is_one_line(
    flags: tuple[str, ...], words: str, shell: Shell, few: Path
) -> None:
    """Nothing is created, and the line says what is expected."""
    named = [str(few.with_name("model.keras")) if flag == "MODEL" else flag for flag in flags]
    done = shell.within("launch", *named, "--study", "never", cwd=few.parent)
    assert words in refused(done, 2)
    assert "never" not in [study["study"] for study in shell.json("status")]
