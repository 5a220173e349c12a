"""A study of a user's own network, from launch to export, and wrong networks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.support.own_networks import CODE
from tests.support.shell import SMALL, Launched, Shell, refused
from tests.support.worker_here import everything_here
from trainstack.spaces.errors import RequestError

pytestmark = [
    *(pytest.mark.acceptance, pytest.mark.keras),
    pytest.mark.usefixtures("workers_here"),
]


@pytest.fixture(scope="module")
def images(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> tuple[Launched, Path]:
    """A study of a convolutional network on 8 × 8 images, and the folder with its files."""
    folder = tmp_path_factory.mktemp("images")
    digits: Any = load_digits()
    np.savez(
        folder / "images.npz", x_train=digits.images[..., None].astype("u1"), y_train=digits.target
    )
    (folder / "network.py").write_text(CODE, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        everything_here(patch)
        done = shell.within(
            *("launch", "images.npz", "--network", "network.py:nested", "--study", "own-network"),
            *("--trials", "3", "--no-models", "--no-yardstick", *SMALL, "--epochs", "8"),
            cwd=folder,
        )
    assert done.returncode == 0, done.stderr
    return Launched(shell, done), folder


def test_a_launch_tells_what_a_network_asks_for(images: tuple[Launched, Path]) -> None:
    """The launch lists the network's numbers with their conditions before it trains."""
    said = images[0].done.stderr
    assert "network network.py:nested: inputs 8 × 8 × 1; 6 numbers of its own" in said
    assert "network.filters_1: 2, 4, when blocks is 2 or 3" in said
    assert "cannot be self-normalizing" in said


def test_a_network_is_searched_confirmed_and_recommended(images: tuple[Launched, Path]) -> None:
    """Every stack but the default has the network's numbers; the recommendation is confirmed."""
    shell = images[0].shell
    rows = shell.json("trials", "own-network")
    assert all(row["outcome"] == "completed" for row in rows)
    found = shell.json("recommend", "own-network")
    assert found["validation"]["loss"]["n"] == 1
    assert 0.1 < found["test"]["accuracy"]["mean"] <= 1.0
    assert found["measured"]["parameters"] < 10_000


def test_trials_and_status_name_the_network(images: tuple[Launched, Path]) -> None:
    """They have the network's name and numbers, not the widths of the chapter's default."""
    shell = images[0].shell
    shown = shell.within("trials", "own-network").stdout + shell.within("status").stdout
    assert "network.py:nested" in shown
    assert "300-100" not in shown


def test_a_trial_of_a_network_is_replayed_exactly(images: tuple[Launched, Path]) -> None:
    """`replay` builds the network from the study's record, and the curves agree."""
    done = images[0].shell.within("replay", "own-network", "1", "--json")
    assert json.loads(done.stdout)["same"]
    assert "network.py:nested with" in done.stderr


def test_an_exported_network_predicts_images(images: tuple[Launched, Path]) -> None:
    """The exported model takes images in their shape, and has the recorded accuracy."""
    launched, folder = images
    shell = launched.shell
    done = shell.within("export", "own-network", "--format", "keras", "-o", folder / "model.keras")
    assert done.returncode == 0, done.stderr
    found = shell.json("predict", folder / "model.keras", folder / "images.npz", "--evaluate")
    expected = shell.json("recommend", "own-network")["test"]["accuracy"]["mean"]
    assert found["metrics"]["accuracy"] == pytest.approx(expected, abs=0.1)


def test_a_network_is_trained_again_without_the_package(
    images: tuple[Launched, Path], tmp_path: Path
) -> None:
    """`export --format python` writes a program, and the user's file beside it, that run alone."""
    launched, folder = images
    shell, program = launched.shell, tmp_path / "again.py"
    done = shell.within("export", "own-network", "--format", "python", "-o", program)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again.network.py").read_text("utf-8") == CODE
    without = "import runpy, sys\nsys.modules['trainstack'] = None\nsys.argv = ['again.py']\n"
    again = subprocess.run(
        [sys.executable, "-c", f"{without}runpy.run_path({str(program)!r}, run_name='__main__')"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    found = float(again.stdout.split()[-1])
    expected = shell.json("recommend", "own-network")["test"]["accuracy"]["mean"]
    assert found == pytest.approx(expected, abs=0.15)


WRONG = {
    "network.py:nothing": "has no function nothing",
    "nowhere.py:build": "there is no file nowhere.py",
    "network.py": "expected FILE.py:FUNCTION",
    "broken.py:build": "broken.py, line 1",
    "wrong.py:build": "build (wrong.py, line 1) returned 3",
}


@pytest.mark.parametrize("flag", [*WRONG])
def test_a_wrong_network_is_refused_before_anything_is_created(
    images: tuple[Launched, Path], flag: str
) -> None:
    """A missing file or function, and one that returns no network: one line, exit 2, no study."""
    launched, folder = images
    (folder / "broken.py").write_text("def build(:\n", "utf-8")
    (folder / "wrong.py").write_text("def build(stack, inputs, outputs):\n    return 3\n", "utf-8")
    argv = ("launch", "images.npz", "--network", flag, "--study", "never-made")
    assert WRONG[flag] in refused(launched.shell.within(*argv, cwd=folder), 2)
    assert "never-made" not in {row["study"] for row in launched.shell.json("status")}


def test_another_machine_runs_a_network_only_if_told_to(
    images: tuple[Launched, Path], tmp_path: Path
) -> None:
    """Without `--trust-network` a machine that did not launch the study runs nothing of it."""
    from trainstack.search.database.connection import connected, storage_url
    from trainstack.search.queue import queries
    from trainstack.search.studies.network_trust import check_trust

    with pytest.MonkeyPatch.context() as patch:
        for name, value in images[0].shell.environment.items():
            patch.setenv(name, value)
        with connected(storage_url()) as engine:
            spec = queries.spec_of(engine, "own-network")
        assert spec.network is not None
        assert "runs the code of network.py:nested" in check_trust(spec, given=False)
        patch.setenv("TRAINSTACK_HOME", str(tmp_path))
        with pytest.raises(RequestError, match="--trust-network") as refused_here:
            check_trust(spec, given=False)
        copy = Path(str(refused_here.value).rpartition("read it first: ")[2])
        assert copy.read_text("utf-8") == CODE
        check_trust(spec, given=True)
        assert "network.py:nested" in check_trust(spec, given=False)
        (tmp_path / "networks" / f"{spec.network.content}.py").write_text("other", "utf-8")
        with pytest.raises(RequestError, match="not from this machine"):
            check_trust(spec, given=False)


def test_a_network_gets_several_inputs_by_name(shell: Shell, tmp_path: Path) -> None:
    """An archive with `x_train_NAME` gives a network its inputs, in their shapes."""
    rng = np.random.default_rng(0)
    (tmp_path / "network.py").write_text(CODE, "utf-8")
    np.savez(
        tmp_path / "two.npz",
        x_train_table=rng.normal(size=(60, 24)),
        x_train_series=rng.normal(size=(60, 20, 2)),
        y_train=np.arange(60) % 3,
    )
    argv = ("launch", "two.npz", "--network", "network.py:two", "--study", "two", "--detach")
    done = shell.within(*argv, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "network.py:two: table 24, series 20 × 2; 0 numbers of its own" in done.stderr
