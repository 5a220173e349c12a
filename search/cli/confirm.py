"""`confirm`: more paired runs on a study, concluded or not."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from trainstack.search.cli.checks import check_count, duration
from trainstack.search.cli.common import AsJson, Storage, Study
from trainstack.search.cli.common import storage as reach
from trainstack.search.cli.confirm_options import SEEDS
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    from sqlalchemy import Engine


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(confirm)


def confirm(
    study: Study,
    replicates: Annotated[
        int | None,
        typer.Option(help="Seeds of the leading comparison; default: those that would decide it."),
    ] = None,
    most_replicates: Annotated[
        int | None,
        typer.Option(help="Go on to at most this many while it is open; default: --replicates."),
    ] = None,
    confirm_time: Annotated[
        str | None, typer.Option(help="Time for these seeds, e.g. 2m; default: no limit.")
    ] = None,
    as_json: AsJson = False,
    storage: Storage = None,
) -> None:
    """Confirm with more seeds, and conclude the study again.

    Trains further pairs of the leading stack and the default; nothing is searched.

    The test set is used again for the new choice, and the recommendation says so.

    Example: trainstack confirm digits --replicates 15
    """
    from trainstack.search.cli.recommend import check_settles, conclude, settle
    from trainstack.search.queue import queries
    from trainstack.search.queue.reopening import reopen

    for flag, number in (("--replicates", replicates), ("--most-replicates", most_replicates)):
        if number is not None:
            check_count(flag, number, 2, SEEDS)
    if replicates is not None and most_replicates is not None and most_replicates < replicates:
        raise RequestError(
            f"--most-replicates {most_replicates}", f"at least --replicates {replicates}"
        )
    seconds = None if confirm_time is None else duration(confirm_time, "--confirm-time ")
    with reach(storage) as (url, engine):
        most = most_replicates or replicates
        if most is None:
            replicates = most = _seeds_that_decide(engine, study)
        check_settles(queries.status(engine, study))
        reopen(engine, study, replicates or 0, most, seconds)
        settle(url, engine, study)
    conclude(url, study, as_json)


def _seeds_that_decide(engine: Engine, study: str) -> int:
    """Return the number of seeds that would probably decide a study.

    Raises:
        NothingToRecommend: No trial finished.
        RequestError: It is decided, or cannot be decided with a reasonable number.
    """
    from trainstack.search.studies.conclusion import conclusion_of

    decision = conclusion_of(engine, study).found.decision
    if decision is None or decision.would_decide is None:
        raise RequestError(
            f"study '{study}' has no open comparison that at most {SEEDS} seeds would decide",
            "a number of seeds",
            f"trainstack confirm {shlex.quote(study)} --replicates N trains them all the same",
        )
    return min(SEEDS, decision.n_pairs + decision.would_decide.seeds)
