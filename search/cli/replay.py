"""`trainstack replay STUDY TRIAL`: train one trial again from its record, and compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from trainstack.search.cli.common import (
    AsJson,
    Storage,
    Study,
    err,
    number,
    out,
    print_json,
    seconds,
)
from trainstack.search.cli.common import storage as reach
from trainstack.search.cli.worker_request import answers
from trainstack.spaces.errors import RequestError, TrainstackError

if TYPE_CHECKING:
    from trainstack.search.queue.progress import Record
    from trainstack.search.replay_record import Comparison, Repetition
    from trainstack.search.spec import StudySpec

# Allows for a different order of summation on another machine.
TOLERANCE = 1e-3


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(replay)


def replay(
    study: Study,
    trial: Annotated[int, typer.Argument(min=0, max=2**31 - 1, help="Number of the trial.")],
    confirmation: Annotated[
        bool, typer.Option("--confirmation", help="Replay a run of the confirmation.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option(help="Greatest relative difference of values that count as equal.")
    ] = TOLERANCE,
    as_json: AsJson = False,
    storage: Storage = None,
) -> None:
    """Train one trial again from its record and compare the curves.

    With the same number of threads a CPU reproduces the numbers. Exit code 1 if they differ.

    Example: trainstack replay digits 3
    """
    from trainstack.search.evidence.formatting import describe
    from trainstack.search.queue import queries
    from trainstack.search.queue.progress import record
    from trainstack.search.records import CONFIRMATION, SEARCH
    from trainstack.search.replay_record import compare, replay_of
    from trainstack.search.studies.network_trust import check_trust

    if not 0 <= tolerance < 1:
        raise RequestError(f"--tolerance {tolerance:g}", "0 or more, and less than 1")
    with reach(storage) as (_, engine):
        spec = queries.spec_of(engine, study)
        first = record(engine, study, trial, CONFIRMATION if confirmation else SEARCH)
    if remark := check_trust(spec, given=False):
        err().print(remark, markup=False)
    err().print(describe(first.stack, spec.network_name), markup=False, soft_wrap=True)
    err().print(
        f"training {len(first.curve)} epochs again with seed {first.seed} "
        f"and {first.threads or 'all'} threads",
        markup=False,
    )
    again = train_again(spec, first)
    found = compare(first.curve, again.curve, tolerance)
    of_folds = compare(first.folds, again.folds, tolerance)
    if as_json:
        same = replace(found, same=found.same and of_folds.same)
        print_json(replay_of(study, first, again, same, tolerance))
    else:
        _print(first, again, found)
    if not (found.same and of_folds.same):
        where = f"from epoch {found.differs_at} on" if not found.same else "in its later folds"
        raise TrainstackError(
            f"trial {trial} differs from its record {where}",
            f"values within {tolerance:g} of the recorded ones",
            f"it was trained on {first.device or 'an unknown device'}, now on {again.device}",
        )


def train_again(spec: StudySpec, first: Record) -> Repetition:
    """Train a trial again in a separate process, which imports TensorFlow.

    Raises:
        RequestError: The trial cannot be trained here.
    """
    from trainstack.search.records import Outcome
    from trainstack.search.replay_record import Repetition

    # A completed or diverged trial ends by itself; any other is stopped at the same epoch.
    to_its_end = first.outcome in (Outcome.COMPLETED, Outcome.DIVERGED)
    request = {
        "spec": spec.to_json(),
        "stack": first.stack.to_json(),
        "kind": first.kind,
        "seed": first.seed,
        "seed_index": first.seed_index,
        "folds": len(first.folds),
        "epochs": spec.epochs if to_its_end else len(first.curve),
        "threads": first.threads,
    }
    (again,) = answers("trainstack.workers.tasks.replay", request)
    again |= {name: tuple(again[name]) for name in ("curve", "folds")}
    return Repetition(**again)


def _print(first: Record, again: Repetition, found: Comparison) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("epoch", "recorded", "again"):
        table.add_column(title, justify="right")
    longest = max(len(first.curve), len(again.curve))
    for epoch in range(longest):
        row = (_at(first.curve, epoch), _at(again.curve, epoch))
        table.add_row(str(epoch + 1), *row)
    console = out()
    console.print(table)
    if first.duplicate_of is not None:
        console.print(
            f"its result is that of trial {first.duplicate_of}, the same stack", markup=False
        )
    if found.same:
        how = "exactly" if found.exact else f"within {found.difference:.1g}"
        took = seconds(again.seconds.get("total"))
        console.print(f"the same {how}: {found.epochs} epochs in {took}", markup=False)


def _at(curve: Sequence[float], epoch: int) -> str:
    return number(curve[epoch], 6) if epoch < len(curve) else "–"
