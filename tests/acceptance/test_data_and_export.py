"""Data of every format from launch to export."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from tests.support.alone import each_alone
from tests.support.data_files import houses
from tests.support.shell import SMALL, Launched, Shell, adds_up, exported, refused
from tests.support.worker_here import concluded
from trainstack.search.evidence.default_model import KINDS
from trainstack.spaces.stack import Stack

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]

# Prints accuracy and loss of a saved model of the digits, given its path, on their test part.
CHECK = """
import json
import sys
import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
x, y = load_digits(return_X_y=True)
_, x, _, y = train_test_split(x, y, test_size=0.2, random_state=0, stratify=y)
p = keras.models.load_model(sys.argv[1]).predict(x.astype("float32"), verbose=0)
loss = -np.log(p[np.arange(len(y)), y].astype("float64")).mean()
print(json.dumps([float((p.argmax(axis=1) == y).mean()), float(loss)]))
"""


@pytest.fixture(scope="module")
def table(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CSV file of the finished study `houses`."""
    path = tmp_path_factory.mktemp("table") / "houses.csv"
    houses().to_csv(path, index=False)
    stack = Stack.of(units=[64, 32], activation="relu", batch_size=16)
    path.with_suffix(".json").write_text(json.dumps([stack.to_json()]), "utf-8")
    concluded(
        *(shell, path, "--target", "price", "--stacks", path.with_suffix(".json")),
        *("--epochs", "30", "--replicates", "2", "--folds", "1"),
    )
    return path


@pytest.fixture(scope="module")
def deployed(shell: Shell, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder for each model of `houses`: its files alone.

    Beside these are, as KIND.csv, its script's predictions for the raw rows, and, as `train.txt`
    and `ensemble.txt`, the output of the programs that train the single network and the ensemble
    again.
    """
    folder = tmp_path_factory.mktemp("deployed")
    houses().drop(columns="price").to_csv(folder / "rows.csv", index=False)
    commands = []
    for kind in KINDS:
        file = folder / kind / "mine.keras"
        done = shell.within("export", "houses", "--format", "keras", "--model", kind, "-o", file)
        assert done.returncode == 0, done.stderr
        commands.append((file.with_name("mine.predict.py"), folder / "rows.csv"))
    commands.append((exported(shell, "houses", "python", folder / "train.py"),))
    flags = ("--format", "python", "--model", "ensemble", "-o", folder / "ensemble.py")
    done = shell.within("export", "houses", *flags)
    assert done.returncode == 0, done.stderr
    commands.append((folder / "ensemble.py",))
    names = [*(f"{kind}.csv" for kind in KINDS), "train.txt", "ensemble.txt"]
    for name, output in zip(names, each_alone(folder, *commands), strict=True):
        (folder / name).write_text(output, "utf-8")
    return folder


def test_a_table_is_recommended_for_in_its_targets_unit(shell: Shell, table: Path) -> None:
    """With categories, gaps and a regression target, rmse is in the target's own unit."""
    adds_up(shell.json("status", "houses"), over=True)
    found = shell.json("recommend", "houses")
    deviation = houses()["price"].std()
    rmse = found["test"]["rmse"]["mean"]
    assert 5_000 < rmse < 0.9 * deviation
    assert found["test"]["loss"]["mean"] == pytest.approx((rmse / deviation) ** 2, rel=0.3)
    assert "log_loss" in found["measured"]


def test_a_tables_model_predicts_raw_rows(shell: Shell, deployed: Path) -> None:
    """The model and the script reproduce the recorded rmse from a raw CSV."""
    names = {path.name for path in (deployed / "single").iterdir()}
    assert names == {"mine.keras", "mine.predict.py"}
    frame, predicted = houses(), pd.read_csv(deployed / "single.csv")["price"]
    assert len(predicted) == len(frame)

    # The recorded figure is that of the first confirmation seed, on the held-out fifth.
    from sklearn.model_selection import train_test_split

    _, held = train_test_split(np.arange(len(frame)), test_size=0.2, random_state=0)
    residuals = (predicted - frame["price"]).to_numpy()[held]
    assert float(np.sqrt(np.mean(residuals**2))) == pytest.approx(
        recorded(shell, "houses", "rmse")[0], rel=1e-4
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_model_gives_its_recorded_figure(kind: str, shell: Shell, deployed: Path) -> None:
    """All four models predict the raw rows of the test part with the recorded rmse."""
    found, frame = shell.json("recommend", "houses")["models"], houses()
    residuals = (pd.read_csv(deployed / f"{kind}.csv")["price"] - frame["price"]).to_numpy()

    from sklearn.model_selection import train_test_split

    _, held = train_test_split(np.arange(len(frame)), test_size=0.2, random_state=0)
    rmse = float(np.sqrt(np.mean(residuals[held] ** 2)))
    assert found[kind]["test"]["rmse"]["mean"] == pytest.approx(rmse, rel=1e-5)
    assert found[kind]["latency_ms"] > 0
    assert found[kind]["rows"] == (256 if kind == "single" else 320)


def test_the_default_model_is_named_in_one_line(shell: Shell, table: Path, tmp_path: Path) -> None:
    """Without `--model` the export says which one it is; `recommend` says the same."""
    done = shell.within("export", "houses", "--format", "keras", "-o", tmp_path / "m.keras")
    assert done.returncode == 0, done.stderr
    kind = shell.json("recommend", "houses")["models"]["default"]
    assert done.stderr.splitlines()[0].startswith(f"{kind}: ")
    text = " ".join(shell.within("recommend", "houses").stdout.split())
    assert f"`export` writes the {kind} model." in text


def test_a_model_is_written_for_small_devices(shell: Shell, table: Path, tmp_path: Path) -> None:
    """A file named .tflite is written for LiteRT, and what it takes is said in one line."""
    file = tmp_path / "new" / "m.tflite"
    done = shell.within("export", "houses", "--model", "single", "-o", file)
    assert (done.returncode, done.stdout) == (0, f"{file}\n"), done.stderr
    assert re.fullmatch(r"takes \d+ numbers per row: .+ `columns`\n", done.stderr)
    assert file.read_bytes()[4:8] == b"TFL3"  # the format's identifier


def test_a_saved_model_replaces_nothing_else(shell: Shell, table: Path, tmp_path: Path) -> None:
    """A folder with other files is not written into."""
    (tmp_path / "mine.txt").write_text("mine", "utf-8")
    flags = ("--format", "savedmodel", "--model", "single")
    done = shell.within("export", "houses", *flags, "-o", tmp_path)
    assert "expected a new folder" in refused(done, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_unknown_model_is_refused(shell: Shell, table: Path, tmp_path: Path) -> None:
    """It gives one line and exit code 2."""
    flags = ("--format", "keras", "--model", "averge")
    done = shell.within("export", "houses", *flags, "-o", tmp_path / "m")
    assert "did you mean 'average'?" in refused(done, 2)


def recorded(shell: Shell, study: str, what: str) -> list[float]:
    """Return a study's test figures, one per seed."""
    from trainstack.search.database import embedded_postgres
    from trainstack.search.database.connection import engine, parse_url
    from trainstack.search.queue import queries

    here = engine(parse_url(embedded_postgres.url_of(shell.home / "postgres")))
    measured = queries.measurement(here, study)
    here.dispose()
    assert measured is not None
    return measured["models"]["single"]["test"][what]


def test_a_tables_script_reaches_its_figures(shell: Shell, deployed: Path) -> None:
    """The exported Python of a table runs without this package, within the seeds' noise."""
    output = (deployed / "train.txt").read_text("utf-8")
    theirs = float(re.findall(r"rmse ([\d.]+)", output)[0])
    assert theirs == pytest.approx(np.mean(recorded(shell, "houses", "rmse")), rel=0.35)


def test_an_ensembles_script_reaches_its_figures(shell: Shell, deployed: Path) -> None:
    """The exported Python of an ensemble runs without this package, within the seeds' noise."""
    output = (deployed / "ensemble.txt").read_text("utf-8").splitlines()[-1]
    theirs = float(re.findall(r"rmse ([\d.]+)", output)[0])
    ours = shell.json("recommend", "houses")["models"]["ensemble"]["test"]["rmse"]["mean"]
    assert theirs == pytest.approx(ours, rel=0.35)


@pytest.fixture(scope="module")
def images_alone(digits: Launched, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The output of `digits`' exported program for two seeds, and of a check of its model.

    Both run in a fresh process without this package.
    """
    folder = tmp_path_factory.mktemp("alone")
    script = exported(digits.shell, "digits", "python", folder / "train.py")
    model = exported(digits.shell, "digits", "keras", folder / "new")
    assert model == folder / "new" / "model.keras"
    check = folder / "check.py"
    check.write_text(CHECK, "utf-8")
    trained, checked = each_alone(folder, (script, 2), (check, model))
    return trained, checked


def test_the_exported_script_reaches_its_figures(
    digits: Launched, images_alone: tuple[str, str]
) -> None:
    """The exported Python runs for two seeds without this package, within the seeds' noise."""
    output, _ = images_alone
    accuracies = [float(text) for text in re.findall(r"accuracy ([\d.]+)", output)]
    assert len(accuracies) == 2
    ours = np.mean(recorded(digits.shell, "digits", "accuracy"))
    # 360 test images: the standard error of one accuracy is 0.01, of a seed about as much.
    assert np.mean(accuracies) == pytest.approx(ours, abs=0.03)


def test_the_reloaded_model_gives_the_recorded_figures(
    digits: Launched, images_alone: tuple[str, str]
) -> None:
    """The saved model in a fresh process has exactly its seed's test figures."""
    accuracy, loss = json.loads(images_alone[1])
    assert accuracy == recorded(digits.shell, "digits", "accuracy")[0]
    assert loss == pytest.approx(recorded(digits.shell, "digits", "loss")[0], rel=1e-4)


def test_the_exported_stack_can_be_launched(digits: Launched, tmp_path: Path) -> None:
    """`export --format json` writes the recommended stack in the form that `--stacks` reads."""
    path = exported(digits.shell, "digits", "json", tmp_path)
    document = json.loads(path.read_text("utf-8"))
    assert document == digits.shell.json("recommend", "digits")["stack"]
    by_name = tmp_path / "named.json"  # the suffix names the format
    assert digits.shell.within("export", "digits", "-o", by_name).returncode == 0
    assert json.loads(by_name.read_text("utf-8")) == document
    launch = ("launch", "wine", "--study", "again", "--stacks", path)
    done = digits.shell.within(*launch, "--detach")
    assert done.returncode == 0, done.stderr
    assert digits.shell.json("status", "again")["budget"]["trials"] == 1


def pictures(folder: Path, rows: int = 120) -> Path:
    """Write a folder of IDX files with a test part: bright left or bright right halves."""
    from trainstack.search.data.idx import is_idx_folder

    folder.mkdir()
    rng = np.random.default_rng(0)
    for stem, count in (("train", rows), ("t10k", 40)):
        labels = (np.arange(count) % 2).astype(np.uint8)
        images = rng.integers(0, 100, (count, 6, 4), dtype=np.uint8)
        images[labels == 1, :, :2] += 100
        for name, array in ((f"{stem}-images-idx3", images), (f"{stem}-labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim])
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            (folder / f"{name}-ubyte").write_bytes(header + sizes + array.tobytes())
    assert is_idx_folder(folder)
    return folder


def test_pictures_go_through_in_their_own_shape(shell: Shell, tmp_path: Path) -> None:
    """IDX files are flattened with a note; the exported model takes whole pictures."""
    folder = pictures(tmp_path / "halves")
    done = concluded(shell, folder, "--trials", "1", *SMALL)
    assert "flattened" in done.stderr
    model = exported(shell, "halves", "keras", tmp_path / "m.keras")
    loaded: Any = keras.models.load_model(model)
    found = loaded.predict(np.zeros((2, 6, 4), "float32"), verbose=0)
    assert found.sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)


def archive(path: Path, parts: tuple[str, ...]) -> Path:
    """Write an .npz with some parts of different sizes."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for size, part in enumerate(parts, start=1):
        y = np.arange(90 * size) % 3
        arrays[f"x_{part}"] = rng.normal(size=(len(y), 4)) + y[:, None]
        arrays[f"y_{part}"] = y
    np.savez(path, **arrays)
    return path


def test_given_parts_are_kept_to_the_end(shell: Shell, tmp_path: Path) -> None:
    """An .npz with its own validation and test parts is searched and measured on exactly these."""
    path = archive(tmp_path / "parts.npz", ("train", "valid", "test"))
    concluded(shell, path, "--trials", "1", *SMALL)
    accuracy = recorded(shell, "parts", "accuracy")[0]
    # A multiple of 1/270, the rows of the given test part, to float32 precision.
    assert accuracy * 270 == pytest.approx(round(accuracy * 270), abs=1e-3)
    assert shell.json("recommend", "parts")["test"]["accuracy"]["n"] == 1


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_other_formats_make_a_study(ending: str, shell: Shell, tmp_path: Path) -> None:
    """An .npz without given parts, and a .parquet table with a text target, can be launched."""
    path, target = tmp_path / f"data{ending}", []
    if ending == ".npz":
        archive(path, ("train",))
    else:
        houses().to_parquet(path)
        target = ["--target", "garden"]
    study = f"format{ending}"
    done = shell.within("launch", path, *target, "--study", study, "--detach")
    assert done.returncode == 0, done.stderr
    assert shell.json("status", study)["counts"]["waiting"] > 0


def test_every_figure_is_finite(shell: Shell, table: Path) -> None:
    """No number of a regression's recommendation is NaN."""

    def numbers(value: Any) -> list[float]:
        if isinstance(value, dict):
            return [n for v in value.values() for n in numbers(v)]
        if isinstance(value, list):
            return [n for v in value for n in numbers(v)]
        return [value] if isinstance(value, float) else []

    found = numbers(shell.json("recommend", "houses"))
    assert found
    assert all(math.isfinite(n) for n in found)
