"""Stacks of a user's own network are described by its name and numbers wherever they are shown."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tests.support.made_up_status import status
from tests.support.planted_study import BETTER, made_up_spec
from trainstack.search.cli.live_view import view
from trainstack.search.cli.looking import status_lines, trial_line, trials_table
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.dashboard.notes import note_of
from trainstack.search.own_network import OwnNetwork
from trainstack.search.queue.progress import Running, Snapshot
from trainstack.search.queue.status import Best
from trainstack.search.queue.trial_record import trial_of
from trainstack.search.report.write import write_report
from trainstack.spaces.references import CHAPTER_DEFAULT

NETWORK = "lenet.py:build"
WIDTHS = "300-100"
STACK = CHAPTER_DEFAULT.but(network__filters=8, dropout="last")
OWN = f"{NETWORK} (filters 8)"
RUNS = [BETTER.run(CHAPTER_DEFAULT, 0, 0), BETTER.run(STACK, 1, 1)]
STATUS = status(network=NETWORK, best=Best(1, 0.3))


def shown(renderable: object) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_trials_name_the_network() -> None:
    """The table of trials, and a trial's line, have the network's name and numbers, no widths."""
    rows = [trial_of(run) for run in RUNS]
    table = shown(trials_table(rows, "loss", NETWORK))
    assert OWN in table
    assert table.count(NETWORK) == 2
    assert OWN in trial_line(rows[1], "loss", NETWORK)
    assert WIDTHS not in table + trial_line(rows[0], "loss", NETWORK)


def test_views_of_a_study_name_the_network() -> None:
    """So do the live view, the dashboard's note and the status."""
    running = Running("host-7-1", "search", 12, 3, 0.4, STACK)
    live = shown(view(STATUS, Snapshot(losses=(0.3,), running=(running,)), 160))
    texts = [live, note_of(STATUS, RUNS, None), "\n".join(status_lines(STATUS))]
    assert [OWN in text for text in texts] == [True, True, False]
    assert all(NETWORK in text and WIDTHS not in text for text in texts)


def test_the_report_names_the_network(tmp_path: Path) -> None:
    """The report, its table of trials and the recommendation's sentence have no widths."""
    spec = made_up_spec(trials=len(RUNS), network=OwnNetwork("lenet.py", "build", ""))
    runs = BETTER.confirm(spec, RUNS)
    write_report(tmp_path, spec, recommend(spec, runs, {}), runs)
    text = (tmp_path / "report.md").read_text("utf-8")
    assert OWN in text
    assert WIDTHS not in text
