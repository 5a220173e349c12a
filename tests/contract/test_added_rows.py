"""A made-up activation, optimizer and schedule work everywhere after adding one row each."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from docs.stack_pages import spaces_page, stack_page
from tests.support.made_up_rows import ADDED, Added
from trainstack.search.cli.main import run
from trainstack.search.data.inputs import Inputs
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

ROOT = Path(__file__).parents[2]
# Suites that include a new row automatically → the axes of their rows.
SUITES = {
    "tests/contract/test_tables.py": {"activation", "optimizer", "schedule"},
    "tests/contract/test_activations.py": {"activation"},
    "tests/contract/test_optimizers.py": {"optimizer"},
    "tests/unit/spaces/test_schedules.py": {"schedule"},
    "tests/keras/test_build.py": {"activation"},
    "tests/keras/test_equivalence.py": {"activation", "optimizer", "schedule"},
}

each_added = pytest.mark.parametrize("added", ADDED, ids=[a.axis for a in ADDED])


@pytest.fixture
def space(added: Added, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The quick space without its bundle, with the new row as the only arm of its axis."""
    monkeypatch.setitem(added.table, added.row.name, added.row)
    document = Space.named("quick").to_json()
    axes = {**document["axes"], "bundle": {"free": {}}, added.axis: {"made_up": added.arm}}
    return {**document, "name": "mine", "axes": axes}


@each_added
def test_it_is_drawn(added: Added, space: dict[str, Any]) -> None:
    """A space with the row draws it with its numbers, within their domains."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=2))
    trial = study.ask()
    stack = Space.from_json(space).draw(trial)
    assert stack[added.axis] == "made_up"
    assert list(stack.numbers(added.axis)) == [p.name for p in added.row.parameters]
    for name, domain in added.arm.items():
        if isinstance(domain, dict):
            asked = trial.params[f"{name}.made_up"]
            assert domain["low"] <= asked <= domain["high"]
            assert stack[f"{added.axis}.{name}"] == asked
    assert Stack.from_json(stack.to_json()) == stack


@each_added
def test_space_check_knows_it(
    added: Added, space: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`space check` accepts the row, and refuses a misspelt parameter with its path."""
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(space), "utf-8")
    assert run(["space", "check", str(file)]) == 0
    space["axes"][added.axis]["made_up"] = {**added.arm, "lenght": 1}
    file.write_text(json.dumps(space), "utf-8")
    assert run(["space", "check", str(file)]) == 2
    assert f"axes.{added.axis}.made_up.lenght" in capsys.readouterr().err


@each_added
def test_the_reference_documents_it(added: Added, space: dict[str, Any]) -> None:
    """The generated page shows the row and its numbers in the section of its axis."""
    section = stack_page().split(f"\n## `{added.axis}`\n")[1].split("\n## ")[0]
    about = added.row.about.replace("|", "\\|")
    assert f"| `made_up` | {about} |" in section
    for parameter in added.row.parameters:
        assert f"`{added.axis}.{parameter.name}`" in section
    assert "made_up" not in spaces_page()  # no named space draws it


@each_added
def test_the_space_verbs_know_it(
    added: Added,
    space: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`space list` lists the row on its axis; a named space with it is listed and shown."""
    (tmp_path / "mine.json").write_text(json.dumps({**space, "about": "Asks much."}), "utf-8")
    monkeypatch.setattr("trainstack.spaces.space._NAMED", tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["space", "list"]) == 0
    listed = capsys.readouterr().out
    assert re.search(r"^mine +Asks much\.", listed, re.M)
    assert re.search(rf"^{added.axis} .*\bmade_up\b", listed, re.M)
    assert run(["space", "show", "mine"]) == 0
    shown = json.loads(capsys.readouterr().out)["axes"][added.axis]["made_up"]
    expected = {p.name: p.default for p in added.row.parameters} | added.arm
    assert shown == expected
    assert "`made_up`" in spaces_page()


@pytest.mark.process
@pytest.mark.keras
def test_the_suites_of_the_tables_pick_it_up(tmp_path: Path) -> None:
    """Every suite over a table also runs over the new row, unchanged, and passes."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.support.made_up_rows", "-v"),
            *("-p", "no:cacheprovider", "-k", "made_up or every_activation or every_optimizer"),
            *SUITES,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    for suite, axes in SUITES.items():
        passed = re.findall(rf"^{suite}::\w+\[.*made_up.*\] PASSED", done.stdout, re.M)
        about = {a for a in axes if len(axes) == 1 or any(a in test for test in passed)}
        assert passed, suite
        assert about == axes


@pytest.mark.keras
@each_added
def test_it_builds_and_trains(added: Added, space: dict[str, Any]) -> None:
    """The engine trains an epoch with the row, and the exported network has the same outputs."""
    import tensorflow as tf

    from trainstack.workers.engine.build import plain_model
    from trainstack.workers.engine.program import DeviceData, Program
    from trainstack.workers.engine.structure import Structure, shaping_items
    from trainstack.workers.engine.training import Training

    stack = Stack.of(**{added.axis: "made_up"}, units=[8, 8], batch_size=8)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 5)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int32)
    data = DeviceData(*(tf.constant(part) for part in (x, y, x, y)))
    structure = Structure(shaping_items(stack), Inputs(5), 2, "classification", data.rows, False)
    program = Program(structure, stack)
    program.reset(stack, seed=0)
    go_on: Callable[[Any], None] = lambda measurement: None  # noqa: E731 - a judge
    result = Training(program, stack, 0, 3, untrained_loss=float(np.log(2))).run(data, go_on)
    assert result.outcome == "completed"
    losses = [m.train_loss for m in result.measurements]
    assert losses[-1] < losses[0]
    exported = plain_model(stack, Inputs(5), 2)
    for weight, value in zip(exported.weights, program.weights(), strict=True):
        weight.assign(value)
    np.testing.assert_allclose(exported(x), program.outputs(x), atol=1e-5)


@pytest.mark.keras
def test_a_new_schedule_moves_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rates of an epoch are the new row's function times the initial rate."""
    from trainstack.workers.engine.rates import RateMaker

    added = ADDED[2]
    monkeypatch.setitem(added.table, "made_up", added.row)
    stack = Stack.of(schedule="made_up", schedule__length=0.25, optimizer__learning_rate=0.4)
    rates = RateMaker(stack, steps_per_epoch=2, epochs=4).rates(2)
    assert rates == pytest.approx([0.4 * (1 + k / 2) ** -0.5 for k in (2, 3)])
