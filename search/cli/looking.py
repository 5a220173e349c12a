"""The verbs that inspect studies and the machine: `status`, `trials`, `dashboard`, `doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainstack.search.cli.common import (
    AsJson,
    Storage,
    Study,
    no_url,
    number,
    out,
    print_json,
    seconds,
    study_names,
)
from trainstack.search.cli.common import storage as reach
from trainstack.search.cli.follow import Follow, changed
from trainstack.search.cli.live_view import spent
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    from rich.table import Table

    from trainstack.search.queue.status import StudyStatus
    from trainstack.search.queue.trial_record import TrialRecord


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    from trainstack.search.cli.doctor import doctor

    for verb in (status, trials, dashboard, doctor):
        app.command()(verb)


def status(
    study: Annotated[
        str | None,
        typer.Argument(
            help="Name of the study; default: all.", autocompletion=study_names, callback=no_url
        ),
    ] = None,
    follow: Follow = False,
    as_json: AsJson = False,
    storage: Storage = None,
) -> None:
    """Show counts, best trial, workers, budget and remaining time.

    Example: trainstack status digits --follow
    """
    from trainstack.search.queue import queries

    if follow:
        _follow_status(study, as_json, storage)
        return
    with reach(storage) as (_, engine):
        found = queries.statuses(engine) if study is None else [queries.status(engine, study)]
    if as_json:
        print_json(found if study is None else found[0])
        return
    if not found:
        out().print("no study yet: `trainstack launch digits` creates one")
    for one in found:
        out().print("\n".join(status_lines(one)), markup=False)


def _follow_status(study: str | None, as_json: bool, storage: str | None) -> None:
    from trainstack.search.cli.follow import follow
    from trainstack.search.cli.live_view import line_of

    if study is None:
        raise RequestError("--follow without a study", "the name of a study")

    def draw(found: StudyStatus) -> Any:
        from rich.text import Text

        return Text("\n".join(status_lines(found)))

    with reach(storage) as (_, engine):
        follow(engine, study, lambda now: now, lambda last, now: [now], draw, line_of, as_json)


def status_lines(s: StudyStatus) -> list[str]:
    """Return a study's status as lines of text."""
    used = {k: v for k, v in s.counts.items() if v}
    lines = [
        f"{s.study}: {s.state}, {spent(s.counts)} of {s.budget.trials} trials"
        f", {seconds(s.elapsed_seconds)}"
        + (f", {seconds(s.remaining_seconds)} left" if s.remaining_seconds else ""),
        "  " + (", ".join(f"{v} {k}" for k, v in used.items()) or "nothing yet"),
    ]
    if s.network:
        lines.append(f"  network: {s.network}")
    confirmation = {k: v for k, v in s.confirmation.items() if v}
    if confirmation:
        counted = ", ".join(f"{v} {k}" for k, v in confirmation.items())
        lines.append(f"  confirmation: {counted}")
    if s.best:
        lines.append(
            f"  best: trial {s.best.trial}, validation {s.objective} {number(s.best.value)}"
            f"{s.over_folds}"
        )
    for worker in s.workers:
        trial = "" if worker.trial is None else f", trial {worker.trial}"
        lines.append(f"  {worker.id} ({worker.device}): {worker.state}{trial}")
    return lines


def trials(
    study: Study,
    confirmation: Annotated[
        bool, typer.Option("--confirmation", help="Show the runs of the confirmation instead.")
    ] = False,
    outcome: Annotated[
        list[str] | None, typer.Option(help="Only trials with this outcome; repeatable.")
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            "--axis", "--arm", help="Only stacks with this arm, e.g. activation=relu; repeatable."
        ),
    ] = None,
    best: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_000, help="At most this many, best first."),
    ] = None,
    follow: Follow = False,
    as_json: AsJson = False,
    storage: Storage = None,
) -> None:
    """List trials, one per row, in the order of their numbers.

    With --follow, print trials whose outcome changed; on a terminal, the latest that fit.

    Example: trainstack trials digits --best 5 --arm activation=relu
    """
    from trainstack.search.cli.follow import follow as follow_study
    from trainstack.search.cli.trial_filters import chosen, read_arms, read_outcomes
    from trainstack.search.queue import queries
    from trainstack.search.records import CONFIRMATION, SEARCH

    outcomes, arms = read_outcomes(outcome or ()), read_arms(axis or ())
    phase = CONFIRMATION if confirmation else SEARCH
    with reach(storage) as (_, engine):

        def look() -> list[TrialRecord]:
            return chosen(queries.trials(engine, study, phase), outcomes, arms, best)

        status = queries.status(engine, study)
        words = {"objective": status.objective, "network": status.network}
        if follow:
            follow_study(
                *(engine, study, lambda _: look(), _news),
                partial(_latest, **words),
                partial(trial_line, **words),
                as_json,
            )
            return
        rows = look()
    if as_json:
        print_json(rows)
        return
    out().print(trials_table(rows, **words))


def _news(last: Sequence[TrialRecord] | None, now: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that are new or whose outcome changed."""
    begun = [row for row in now if row.number is not None]
    return changed(last, begun, lambda row: row.number, lambda row: row.outcome)


def _cells(row: TrialRecord, network: str) -> tuple[str, ...]:
    from trainstack.search.evidence.formatting import describe

    return (
        *("–" if row.number is None else str(row.number), row.outcome),
        *(number(row.value), str(row.epochs), seconds(row.seconds.get("total"))),
        describe(row.stack, network) if row.stack else "",
    )


def trials_table(rows: Sequence[TrialRecord], objective: str, network: str = "") -> Table:
    """Return a table with one row per trial.

    Args:
        rows: The trials.
        objective: Name of what is minimized, the title of the values.
        network: Name of the user's own network; empty: dense layers.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("trial", "outcome", objective, "epochs", "time", "stack"):
        right = title not in ("outcome", "stack")
        table.add_column(title, justify="right" if right else "left", no_wrap=title != "stack")
    for row in rows:
        table.add_row(*_cells(row, network))
    return table


def _latest(rows: Sequence[TrialRecord], objective: str, network: str) -> Table:
    """Return a table of the latest rows that fit the terminal."""
    table = trials_table(rows[-max(1, out().height - 2) :], objective, network)
    table.columns[-1].no_wrap, table.columns[-1].overflow = True, "ellipsis"
    return table


def trial_line(row: TrialRecord, objective: str, network: str = "") -> str:
    """Return a trial in one line; `objective` and `network` as for `trials_table`."""
    which, outcome, value, epochs, time, stack = _cells(row, network)
    return (
        f"trial {which}: {outcome}, {objective} {value}, {epochs} epochs, {time}  {stack}".rstrip()
    )


def dashboard(
    study: Annotated[
        str | None,
        typer.Argument(
            help="Name of the study to open; default: the list.",
            autocompletion=study_names,
            callback=no_url,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one.")] = 8080,
    storage: Storage = None,
) -> None:
    """Serve optuna-dashboard over this storage; it has no login.

    Notes and plots of each study are kept up to date; a trial's artifacts are its curves and layer
    statistics, and the recommended stack's saved model.

    Example: trainstack dashboard digits --port 0
    """
    from trainstack.search.cli.dashboard_server import serve

    serve(storage, host, port, study)
