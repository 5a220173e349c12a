"""Workers of a launch that is repeated after its study has concluded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.shell import SMALL, Shell
from trainstack.search.cli import recommend
from trainstack.search.cli.local_workers import LocalWorkers

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.keras,
    pytest.mark.usefixtures("workers_here"),
]

LAUNCH = ("launch", "wine", *SMALL, "--trials", "2", "--no-yardstick", "--no-models", "--study")


@pytest.fixture
def crews(monkeypatch: pytest.MonkeyPatch) -> list[LocalWorkers]:
    """The workers of every launch."""
    found: list[LocalWorkers] = []
    keep = LocalWorkers.keep

    def watched(crew: LocalWorkers, count: int) -> None:
        found.append(crew)
        keep(crew, count)

    monkeypatch.setattr(LocalWorkers, "keep", watched)
    return found


def test_a_concluded_study_gets_no_worker(shell: Shell, crews: list[LocalWorkers]) -> None:
    """A repeated launch prints the recommendation and starts no worker."""
    canned = shell.canned()
    first = canned.within(*LAUNCH, "launched-again")
    assert first.returncode == 0, first.stderr
    assert crews
    crews.clear()
    again = canned.within(*LAUNCH, "launched-again")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert crews == []


def test_workers_end_before_the_recommendation_if_the_study_concluded_elsewhere(
    shell: Shell, crews: list[LocalWorkers], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a report here workers are started early, and ended once the database is read."""
    assert shell.canned().within(*LAUNCH, "concluded-elsewhere").returncode == 0
    crews.clear()
    alive: list[int] = []
    conclude = recommend.conclude

    def watched(*args: Any) -> None:
        alive.extend(crew.alive() for crew in crews)
        conclude(*args)

    monkeypatch.setattr(recommend, "conclude", watched)
    here = Shell(shell.home, {"TRAINSTACK_ARTIFACTS": str(tmp_path)})
    assert here.within(*LAUNCH, "concluded-elsewhere").returncode == 0
    assert [len(crew.processes) for crew in crews] == [1]
    assert alive == [0]


def test_a_report_that_is_left_keeps_no_worker_away(shell: Shell) -> None:
    """A study whose report is older than itself, as after a deletion, is searched as usual."""
    (shell.home / "artifacts" / "report-left" / "report").mkdir(parents=True)
    done = shell.canned().within(*LAUNCH, "report-left")
    assert done.returncode == 0, done.stderr
    assert shell.json("status", "report-left")["counts"]["completed"] == 2
