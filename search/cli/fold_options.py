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

Folds = Annotated[
    int | None,
    typer.Option(help="Folds whose mean scores a trial; default 1: one part is held out."),
]
Repeats = Annotated[int, typer.Option(help="Times that the rows are divided into folds anew.")]


def folds_of(
    dataset: Dataset, folds: int | None, repeats: int, seed: int, replicates: int
) -> tuple[int, int]:
    """Return the numbers of folds and repeats, with which the rows can be divided.

    Args:
        dataset: The data.
        folds: As the user asks; None: 1, a part is held out.
        repeats: As the user asks.
        seed: The study's seed.
        replicates: Number of fresh seeds, whose divisions are checked like the search's.

    Raises:
        RequestError: A number is out of range, or the rows cannot be divided so.
    """
    folds = 1 if folds is None else folds
    check_count("--folds", folds, 1, MOST_FOLDS)
    check_count("--repeats", repeats, 1, MOST_REPEATS)
    if repeats > 1 and folds == 1:
        raise RequestError(f"--repeats {repeats} without folds", "--folds of at least 2")
    if folds > 1:
        _check(dataset, folds, repeats, seed, replicates)
    return folds, repeats


def _check(dataset: Dataset, folds: int, repeats: int, seed: int, replicates: int) -> None:
    """Divide the rows as search and confirmation do; random ones are all alike."""
    from trainstack.search.evidence.ablation import TUNING_INDEX
    from trainstack.search.evidence.planned_run import confirmation_seed

    dataset.fold_positions(folds, repeats, seed)
    if dataset.keys.groups is None:
        return
    for index in (*range(0, replicates, folds), TUNING_INDEX - TUNING_INDEX % folds):
        dataset.fold_positions(folds, 1, confirmation_seed(seed, index))


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
