"""The flags that say how a table's columns are read, shared by the verbs that take data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from trainstack.search.cli.common import err

if TYPE_CHECKING:
    from trainstack.search.data.dataset import Dataset
    from trainstack.search.data.overrules import Overrules
    from trainstack.search.data.split_plan import SplitPlan

Target = Annotated[
    str | None,
    typer.Option(help="Column to predict, for tables; several: separated by commas."),
]
Task = Annotated[
    str, typer.Option(help="auto, classification, multilabel (several targets) or regression.")
]
TargetTransform = Annotated[
    str,
    typer.Option(help="log trains on the logarithm of a positive target; auto if it is skewed."),
]

_COLUMNS = " Repeatable, or separated by commas."
Drop = Annotated[list[str] | None, typer.Option(help="Column to leave out." + _COLUMNS)]
Keep = Annotated[
    list[str] | None,
    typer.Option(help="Column to use even if it looks like an identifier or free text."),
]
Numeric = Annotated[
    list[str] | None,
    typer.Option(help="Column to read as numbers; other cells count as missing."),
]
Categorical = Annotated[list[str] | None, typer.Option(help="Column to read as categories.")]
Date = Annotated[
    list[str] | None,
    typer.Option(help="Column to read as dates; other cells count as missing."),
]

Group = Annotated[
    str | None, typer.Option(help="Column whose equal values stay in one part, such as a patient.")
]
Time = Annotated[
    str | None, typer.Option(help="Column of times: train on the past, validate and test later.")
]
Gap = Annotated[
    str | None,
    typer.Option(help="With --time: rows, or a time such as 7d, to leave out before a part."),
]
PartColumn = Annotated[
    str | None,
    typer.Option("--part", help="Column that names each row's part, such as train or test."),
]
ValidFile = Annotated[
    str | None,
    typer.Option("--valid", help="File with the validation rows, with the same columns."),
]
TestFile = Annotated[
    str | None, typer.Option("--test", help="File with the test rows, with the same columns.")
]

Unlabelled = Annotated[
    str | None,
    typer.Option(
        help="Rows without a target: drop, or keep for pretraining; default: only an .npz's "
        "x_unlabelled is kept."
    ),
]
Reuse = Annotated[
    str | None,
    typer.Option(help="Saved Keras model whose lower dense layers may be reused."),
]


def plan_of(
    group: str | None,
    time: str | None,
    gap: str | None,
    part: str | None,
    valid: str | None,
    test: str | None,
) -> SplitPlan:
    """Return what the flags say about how rows become parts."""
    from trainstack.search.data.split_plan import SplitPlan

    return SplitPlan(group, time, gap, part, valid, test)


def overrules_of(
    drop: Sequence[str] | None,
    keep: Sequence[str] | None,
    numeric: Sequence[str] | None,
    categorical: Sequence[str] | None,
    date: Sequence[str] | None,
) -> Overrules:
    """Return what the flags say about columns."""
    from trainstack.search.data.overrules import Overrules

    return Overrules(*(tuple(names or ()) for names in (drop, keep, numeric, categorical, date)))


def print_notes(dataset: Dataset, folds: int = 1) -> None:
    """Print what to consider about the data, and how it is read, on standard error."""
    from trainstack.search.data.warnings import warnings_of

    for line in (*warnings_of(dataset, folds), *dataset.notes):
        err().print(line, markup=False)
