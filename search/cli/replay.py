"""`trainstack replay STUDY TRIAL`: train one trial again from its record, and compare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from trainstack.search.json_values import INLINE, OR_NULL
from trainstack.search.records import Outcome
from trainstack.spaces.errors import RequestError, TrainstackError
from trainstack.spaces.stack import Stack

if TYPE_CHECKING:
    from trainstack.search.queue.progress import Record
    from trainstack.search.spec import StudySpec

# Allows for a different order of summation on another machine.
TOLERANCE = 1e-3


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(replay)


@dataclass(frozen=True)
class Comparison:
    """Comparison of a trial's recorded curve with its repetition.

    Attributes:
        same: Whether the lengths agree and no difference exceeds the tolerance, in every fold.
        exact: Whether both are equal to the last digit.
        epochs: Number of epochs in both curves.
        difference: Largest relative difference.
        differs_at: First epoch beyond the tolerance or in one curve only; null: nowhere.
    """

    same: bool
    exact: bool
    epochs: int
    difference: float | None
    differs_at: int | None


@dataclass(frozen=True)
class Recorded:
    """The recorded result of a trial.

    Attributes:
        outcome: Its outcome.
        curve: Objective per epoch, of a trial on folds the mean over its first ones.
        folds: Objective of each fold that was trained; empty without folds.
        device: Such as `cpu` or `gpu:0`; empty if unknown.
    """

    outcome: str
    curve: tuple[float, ...] = field(metadata=OR_NULL)
    folds: tuple[float, ...] = field(metadata=OR_NULL)
    device: str


@dataclass(frozen=True)
class Repetition:
    """The result of training a trial again.

    Attributes:
        device: Device of this machine.
        outcome: Its outcome now.
        cause: Reason why it diverged or was infeasible.
        curve: Objective per epoch, of a trial on folds the mean over its first ones.
        folds: Objective of each fold that was trained; empty without folds.
        seconds: `total`, `build`, `compile`, `train`, `evaluate`.
    """

    device: str
    outcome: str
    cause: str | None
    curve: tuple[float, ...] = field(metadata=OR_NULL)
    folds: tuple[float, ...] = field(metadata=OR_NULL)
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Replay:
    """A trial trained again, compared with its record.

    Attributes:
        study: The study's name.
        trial: The trial's number.
        kind: `search` or `confirmation`.
        stack: Its stack.
        stack_id: Fingerprint of the stack.
        seed: Seed of weights, batch order and masks.
        threads: Number of training threads; 0: all cores.
        cached_of: Trial whose result this is, if the stacks are equal.
        tolerance: Relative difference that counts as the same.
        found: The comparison.
        recorded: The recorded result.
        again: The result of the repetition.
    """

    study: str
    trial: int
    kind: str
    stack: Stack
    stack_id: str
    seed: int
    threads: int
    cached_of: int | None
    tolerance: float
    found: Comparison = field(metadata=INLINE)
    recorded: Recorded
    again: Repetition


def compare(recorded: Sequence[float], again: Sequence[float], tolerance: float) -> Comparison:
    """Compare two curves epoch by epoch.

    Args:
        recorded: Objective per epoch of the record.
        again: Objective per epoch of the repetition.
        tolerance: Greatest |again − recorded| / |recorded| that counts as the same, 0 or more.
    """
    pairs = list(zip(recorded, again, strict=False))
    gaps = [
        0.0 if a == b else abs(b - a) / max(abs(a), 1e-12) if math.isfinite(a - b) else math.inf
        for a, b in pairs
    ]
    beyond = next((k for k, gap in enumerate(gaps, start=1) if gap > tolerance), None)
    if beyond is None and len(recorded) != len(again):
        beyond = len(pairs) + 1
    largest = max(gaps, default=0.0)
    exact = list(recorded) == list(again)
    shown = largest if math.isfinite(largest) else None
    return Comparison(beyond is None, exact, len(pairs), shown, beyond)


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
    """Train one trial again from its record (stack, seed, split) and compare the curves.

    With the same number of threads a CPU reproduces the numbers. Exit code 1 if they differ.

    Example: trainstack replay digits 3
    """
    from trainstack.search.evidence.formatting import describe
    from trainstack.search.queue import queries
    from trainstack.search.queue.progress import record
    from trainstack.search.records import CONFIRMATION, SEARCH
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


def replay_of(
    study: str, first: Record, again: Repetition, found: Comparison, tolerance: float
) -> Replay:
    """Return the record of a replay.

    Args:
        study: Name of the study.
        first: The trial's record.
        again: The result of the repetition.
        found: Comparison of the two.
        tolerance: Relative difference that counts as the same.
    """
    return Replay(
        study=study,
        trial=first.number,
        kind=first.kind,
        stack=first.stack,
        stack_id=first.stack.stack_id,
        seed=first.seed,
        threads=first.threads,
        cached_of=first.duplicate_of,
        tolerance=tolerance,
        found=found,
        recorded=Recorded(first.outcome, first.curve, first.folds, first.device),
        again=again,
    )


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
