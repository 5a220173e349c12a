"""Conclusions of studies whose files cannot be written or whose names are long."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.shell import SMALL, Launched, Shell, refused
from trainstack.search.artifact_names import folder_of

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]


def warned(stderr: str) -> str:
    """Return the one warning among the lines of progress."""
    (line,) = [line for line in stderr.splitlines() if line.startswith("warning: ")]
    assert "trainstack: " not in stderr
    assert "Traceback" not in stderr
    return line


def test_a_recommendation_stands_without_its_report(digits: Launched, tmp_path: Path) -> None:
    """If the artifact store is no folder, `recommend` prints its result and the missing files.

    `report` exits 2, because its files were requested.
    """
    blocked = tmp_path / "file"
    blocked.write_text("", "utf-8")
    shell = Shell(digits.shell.home, {"TRAINSTACK_ARTIFACTS": str(blocked / "store")})
    usual = digits.shell.within("recommend", "digits").stdout.split("\nReport: ")[0]
    done = shell.run("recommend", "digits")
    assert (done.returncode, done.stdout) == (0, usual)
    (line,) = done.stderr.splitlines()
    assert str(blocked) in warned(line)
    assert "`trainstack report digits -o FOLDER`" in line
    done = shell.within("recommend", "digits", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == digits.shell.json("recommend", "digits")
    assert str(blocked) in warned(done.stderr)
    line = refused(shell.within("report", "digits", "-o", blocked / "report"), 2)
    assert "cannot write the report" in line
    line = refused(shell.within("launch", "wine", "--study", "blocked", *SMALL), 2)
    assert "is not a folder" in line
    refused(shell.within("status", "blocked"), 4)


@pytest.mark.parametrize("study", ["ж" * 60, "𝔞" * 100], ids=["Cyrillic", "four bytes a letter"])
def test_a_launch_of_any_name_concludes_without_its_report(shell: Shell, study: str) -> None:
    """A study with a long name has all its files; a report that cannot be written warns.

    The exit code is that of the conclusion.
    """
    folder = shell.home / "artifacts" / folder_of(study)
    folder.mkdir(parents=True)
    (folder / "report").write_text("", "utf-8")
    canned = shell.canned(epoch_seconds=0.0)
    done = canned.run("launch", "wine", "--study", study, "--trials", "2", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "Report: " not in done.stdout
    assert done.stdout.strip()
    assert str(folder) in warned(done.stderr)
    (folder / "report").unlink()
    done = shell.within("recommend", study)
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "report" / "report.html").is_file()
    assert list((shell.home / "logs" / folder_of(study)).glob("worker-*.log"))
