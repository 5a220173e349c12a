"""With folds, every view says that a trial's value is a mean over them."""

from __future__ import annotations

from rich.console import Console

from tests.support.made_up_status import status
from trainstack.search.cli.live_view import view
from trainstack.search.cli.looking import status_lines
from trainstack.search.dashboard.notes import note_of
from trainstack.search.queue.progress import Snapshot
from trainstack.search.records import SEARCH, Outcome, Run
from trainstack.spaces.references import CHAPTER_DEFAULT

DIVIDED = status(folds=5, repeats=2)
BEST = Run(
    SEARCH, 5, CHAPTER_DEFAULT, CHAPTER_DEFAULT.stack_id, 0, outcome=Outcome.COMPLETED, value=0.25
)
WORDS = "0.2500, the mean over 5 folds of 2 divisions"


def live(**changes: int) -> str:
    """Return the live view in a terminal of 80 columns."""
    console = Console(width=80)
    with console.capture() as captured:
        console.print(view(status(**changes), Snapshot(losses=(0.3, 0.25)), 80))
    return captured.get()


def test_the_views_say_what_the_value_is() -> None:
    """Once beside the best value, in status, live view and the dashboard's note."""
    assert "\n".join(status_lines(DIVIDED)).count(WORDS) == 1
    assert "best loss, the mean over 5 folds █" in live(folds=5)
    assert note_of(DIVIDED, [BEST], None).count(WORDS) == 1


def test_without_folds_they_say_nothing() -> None:
    """A part held out needs no word."""
    plain = status()
    shown = "\n".join([*status_lines(plain), live(), note_of(plain, [BEST], None)])
    assert "fold" not in shown
