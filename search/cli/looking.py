"""`status`, `trials`, `dashboard`, `doctor`: looking at what there is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from search.cli.common import AsJson, Storage, Study, number, out, print_json, seconds
from search.cli.common import storage as reach


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    from search.cli.doctoring import doctor

    for verb in (status, trials, dashboard, doctor):
        app.command()(verb)


def status(
    study: Annotated[str | None, typer.Argument(help="Name of the study; none: all.")] = None,
    as_json: AsJson = False,
    storage: Storage = None,
) -> None:
    """Counts, best so far, workers, budget and remaining time."""
    from search.fleet import inspect

    with reach(storage) as (_, engine):
        found: Any = inspect.statuses(engine) if study is None else inspect.status(engine, study)
    if as_json:
        print_json(found)
        return
    if study is None and not found:
        out().print("no study yet: `trainstack launch digits` makes one")
    for document in [found] if study is not None else found:
        out().print("\n".join(status_lines(document)), markup=False)


def status_lines(s: dict[str, Any]) -> list[str]:
    """Say a status document in a few lines."""
    counts = s["counts"]
    used = {k: v for k, v in counts.items() if v}
    lines = [
        f"{s['study']}: {s['state']}, {_spent(counts)} of {s['budget']['trials']} trials"
        f", {seconds(s['elapsed_seconds'])}"
        + (f", {seconds(s['remaining_seconds'])} left" if s["remaining_seconds"] else ""),
        "  " + (", ".join(f"{v} {k}" for k, v in used.items()) or "nothing yet"),
    ]
    confirmation = {k: v for k, v in s["confirmation"].items() if v}
    if confirmation:
        said = ", ".join(f"{v} {k}" for k, v in confirmation.items())
        lines.append(f"  confirmation: {said}")
    if s["best"]:
        lines.append(
            f"  best: trial {s['best']['trial']}, validation loss {number(s['best']['value'])}"
        )
    for worker in s["workers"]:
        trial = "" if worker["trial"] is None else f", trial {worker['trial']}"
        lines.append(f"  {worker['id']} ({worker['device']}): {worker['state']}{trial}")
    return lines


def _spent(counts: dict[str, int]) -> int:
    return sum(counts[k] for k in ("completed", "pruned", "diverged", "infeasible"))


def trials(
    study: Study,
    confirmation: Annotated[
        bool, typer.Option("--confirmation", help="The confirmation's runs instead.")
    ] = False,
    outcome: Annotated[
        list[str] | None, typer.Option(help="Only those that ended so; repeatable.")
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(help="Only stacks with this arm, e.g. activation=relu; repeatable."),
    ] = None,
    best: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Only so many, lowest loss first.")
    ] = None,
    as_json: AsJson = False,
    storage: Storage = None,
) -> None:
    """One row a trial, in the order in which they were drawn: `trials digits --best 5`."""
    from rich.table import Table

    from search.cli.choosing import chosen, read_arms, read_outcomes
    from search.evidence.words import describe
    from search.fleet import inspect
    from search.records import CONFIRMATION, SEARCH
    from spaces.stack import Stack

    outcomes, arms = read_outcomes(outcome or ()), read_arms(axis or ())
    with reach(storage) as (_, engine):
        phase = CONFIRMATION if confirmation else SEARCH
        rows = chosen(inspect.trials_json(engine, study, phase), outcomes, arms, best)
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("trial", "outcome", "loss", "epochs", "time", "stack"):
        right = title in ("trial", "loss", "epochs", "time")
        table.add_column(title, justify="right" if right else "left", no_wrap=title != "stack")
    for row in rows:
        table.add_row(
            *("–" if row["number"] is None else str(row["number"]), row["outcome"]),
            *(number(row["value"]), str(row["epochs"]), seconds(row["seconds"].get("total"))),
            describe(Stack.from_json(row["stack"])) if row["stack"] else "",
        )
    out().print(table)


def dashboard(
    study: Annotated[
        str | None, typer.Argument(help="Name of the study to open; none: the list.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one.")] = 8080,
    storage: Storage = None,
) -> None:
    """Serve optuna-dashboard over this storage until interrupted; no login: mind the address.

    Each study's note and plots are kept current while it is served.
    """
    from search.cli.serving import serve

    serve(storage, host, port, study)
