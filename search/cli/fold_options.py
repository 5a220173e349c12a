"""The flags about folds, shared by the verbs that train on data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trainstack.search.cli.checks import check_count
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    from trainstack.search.data.dataset import Dataset
    from trainstack.search.spec import StudySpec

MOST_FOLDS, MOST_REPEATS = 20, 20
# Folds of small data, and the number of rows from which one split is enough (docs/folds.md).
FOLDS, MANY_ROWS = 5, 1_000

Folds = Annotated[
    int | None,
    typer.Option(
        help="Folds that score a trial by their mean; default: 5 below 1,000 rows, else 1."
    ),
]
ClaimFolds = Annotated[
    int | None,
    typer.Option("--folds", help="Folds by which runs are paired; default: 1, one part held out."),
]
Repeats = Annotated[int, typer.Option(help="Number of times that the rows are divided into folds.")]


def default_folds(dataset: Dataset) -> int:
    """Return the number of folds of a study without `--folds`; 1: one part is held out.

    Measured on tables of 142 to 5,148 rows (docs/folds.md). Rows in time have one part, which chose
    better than expanding windows, and so has data whose validation part is given.

    Args:
        dataset: The data. `folds_of` checks that it can be divided into the folds.
    """
    if dataset.division.is_fixed:
        return 1
    found = dataset.division.positions(0)
    return FOLDS if len(found["train"]) + len(found["valid"]) < MANY_ROWS else 1


def folds_of(
    dataset: Dataset, folds: int | None, repeats: int, seed: int, replicates: int
) -> tuple[int, int]:
    """Return the numbers of folds and repeats, with which the rows can be divided.

    Args:
        dataset: The data.
        folds: As the user asks; None: `default_folds`, or 1 if the rows cannot be divided so.
        repeats: As the user asks.
        seed: The study's seed.
        replicates: Number of fresh seeds, whose divisions are checked like the search's.

    Raises:
        RequestError: A number is out of range, or the rows cannot be divided as asked.
    """
    if folds is not None:
        check_count("--folds", folds, 1, MOST_FOLDS)
    check_count("--repeats", repeats, 1, MOST_REPEATS)
    if repeats > 1 and folds in (None, 1):
        raise RequestError(f"--repeats {repeats} without folds", "--folds of at least 2")
    found = default_folds(dataset) if folds is None else folds
    try:
        if found > 1:
            _check(dataset, found, repeats, seed, replicates)
    except RequestError:
        if folds is not None:
            raise
        found = 1
    return found, repeats


def _check(dataset: Dataset, folds: int, repeats: int, seed: int, replicates: int) -> None:
    """Divide the rows as search and confirmation do; random ones are all alike."""
    from trainstack.search.evidence.ablation import TUNING_INDEX
    from trainstack.search.evidence.planned_run import confirmation_seed

    dataset.division.folds(folds, repeats, seed)
    if dataset.keys.groups is None:
        return
    for index in (*range(0, replicates, folds), TUNING_INDEX - TUNING_INDEX % folds):
        dataset.division.folds(folds, 1, confirmation_seed(seed, index))


def kept_folds(there: StudySpec | None, asked: StudySpec, folds: int | None) -> dict[str, int]:
    """Return the folds and repeats of a study that is resumed without `--folds`, if they differ.

    Args:
        there: The spec of the study of that name; None: there is none.
        asked: The spec as asked for.
        folds: As the user asks.
    """
    if there is None or folds is not None or there.data.fingerprint != asked.data.fingerprint:
        return {}
    found = {"folds": there.folds, "repeats": there.repeats}
    return {} if (asked.folds, asked.repeats) == (there.folds, there.repeats) else found


def trial_lines(spec: StudySpec, folds: int | None) -> list[str]:
    """Return what a launch says about its trials: their length, and what their score is.

    Args:
        spec: The spec of the study.
        folds: As the user asks.
    """
    lines = [f"plans of at most {spec.epochs} epochs, scored by {spec.scored}"]
    if folds is None and spec.folds > 1 and spec.timeout_seconds is not None:
        lines.append("if --timeout allows only some 40 trainings, --folds 1 chooses better")
    return lines
