"""`confirm` on a real study, and the flags about further seeds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.shell import Shell, refused

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]

LAUNCH = (
    *("launch", "wine", "--trials", "2", "--epochs", "2", "--replicates", "2", "--folds", "1"),
    *("--workers", "1", "--space", "quick", "--no-yardstick", "--no-models"),
)


@pytest.mark.usefixtures("workers_here")
def test_a_concluded_study_is_confirmed_further(fresh_home: Path) -> None:
    """With `--replicates 5` the pair has five seeds, and the test set was seen before."""
    shell = Shell(fresh_home)
    first = shell.within(*LAUNCH, "--json")
    assert first.returncode == 0, first.stderr
    before = json.loads(first.stdout)
    assert before["decision"]["n_pairs"] == 2
    done = shell.within("confirm", "wine", "--replicates", "5", "--json")
    assert done.returncode == 0, done.stderr
    after = json.loads(done.stdout)
    assert after["decision"]["n_pairs"] == 5
    assert 0.0 <= after["decision"]["probability_better"] <= 1.0
    assert any("test set had been opened once" in text for text in after["warnings"])
    assert not any("test set had been opened" in text for text in before["warnings"])
    assert after["test"]["loss"]["n"] == 2
    again = shell.within(*LAUNCH, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["decision"] == after["decision"]
    line = refused(shell.within("confirm", "wine", "--replicates", "5"), 2)
    assert "more than 5 seeds" in line


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("confirm", "wine", "--replicates", "1"), "--replicates"),
        (("confirm", "wine", "--replicates", "500"), "--replicates"),
        (("confirm", "wine", "--replicates", "9", "--most-replicates", "4"), "at least"),
        (("confirm", "wine", "--replicates", "9", "--confirm-time", "soon"), "--confirm-time"),
        (("launch", "wine", "--most-replicates", "2"), "--most-replicates"),
        (("launch", "wine", "--confirm-time", "-3"), "--confirm-time"),
        (("launch", "wine", "--simplicity", "lots"), "--simplicity"),
        (("launch", "wine", "--simplicity", "101%"), "--simplicity"),
    ],
    ids=" ".join,
)
def test_values_out_of_range_are_one_line(
    flags: tuple[str, ...], said: str, fresh_home: Path
) -> None:
    """A number, a duration or a percentage out of range exits 2 and names its flag."""
    assert said in refused(Shell(fresh_home).within(*flags), 2)
