"""`trainstack data DATA`: what the product will do with this data."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from trainstack.search.cli.common import AsJson, out, print_json
from trainstack.search.cli.data_options import (
    Categorical,
    Date,
    Drop,
    Gap,
    Group,
    Keep,
    Numeric,
    PartColumn,
    Target,
    TargetTransform,
    Task,
    TestFile,
    Time,
    Unlabelled,
    ValidFile,
    overrules_of,
    plan_of,
)
from trainstack.search.cli.fold_options import Folds, Repeats, folds_of
from trainstack.search.cli.question import Weight

if TYPE_CHECKING:
    from trainstack.search.data.columns import Column
    from trainstack.search.data.summary import DataSummary, Distribution

_WIDTH = 79
# Longest name of a column or class that is shown whole.
_NAME = 28
# Numbers from here on are written as powers of ten.
_MOST_WRITTEN_OUT = 1e15
# Most classes, and most columns, that are listed one by one.
_CLASSES, _COLUMNS = 12, 40
# What becomes of a column is shown unless it is one of these; a gap's feature is counted.
_GAPS = "gaps get the median and are marked"
_USUAL = ("standardised", "0 or 1", "a feature for each category", _GAPS, f"0 or 1; {_GAPS}")


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(data)


def data(
    data: Annotated[str, typer.Argument(help="Name of a data set, or a path.")],
    target: Target = None,
    task: Task = "auto",
    target_transform: TargetTransform = "none",
    drop: Drop = None,
    keep: Keep = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    date: Date = None,
    weight: Weight = None,
    group: Group = None,
    time: Time = None,
    gap: Gap = None,
    part: PartColumn = None,
    valid: ValidFile = None,
    test: TestFile = None,
    unlabelled: Unlabelled = None,
    folds: Folds = None,
    repeats: Repeats = 1,
    as_json: AsJson = False,
) -> None:
    """Show how your data will be read, without training anything.

    Each column with its features, the target, the parts, and what to consider.

    `launch` with the same flags reads the data alike.

    Example: trainstack data houses.csv --target price --drop agent
    """
    from trainstack.search.data.load import load
    from trainstack.search.data.summary import summary_of

    overrules = overrules_of(drop, keep, numeric, categorical, date)
    plan = plan_of(group, time, gap, part, valid, test)
    dataset = load(
        *(data, target, task, overrules),
        transform=target_transform,
        weight=weight,
        plan=plan,
        unlabelled=unlabelled,
    )
    summary = summary_of(dataset, *folds_of(dataset, folds, repeats, seed=0, replicates=5))
    if as_json:
        print_json(summary)
    else:
        out().print(text_of(data, summary), markup=False)


def text_of(name: str, summary: DataSummary) -> str:
    """Return a summary as plain text for a terminal of 80 columns.

    Args:
        name: The data as the user names it.
        summary: The summary.
    """
    return "\n".join(_lines(name, summary))


def _lines(name: str, summary: DataSummary) -> Iterator[str]:
    parts = summary.parts
    yield f"{name}: {_count(summary.rows, 'row')}, {_count(len(summary.columns), 'column')}"
    if summary.folds:
        yield f"rows to divide into folds {summary.rows - parts.test:,}, to test {parts.test:,}"
        yield from _folds(summary)
    else:
        gap = f", left out {parts.left_out:,}" if parts.left_out else ""
        used = f"rows to train {parts.train:,}, to validate {parts.valid:,}"
        yield f"{used}, to test {parts.test:,}{gap}"
    if summary.unlabelled:
        yield f"rows without a target, for pretraining {summary.unlabelled:,}"
    yield from _wrapped(summary.division)
    targets = [summary.target] if isinstance(summary.target, str) else summary.target or ()
    of = f" of {', '.join(map(_short, targets))}" if targets else ""
    if summary.task == "regression":
        yield f"regression{of}"
    else:
        yield f"{summary.task}{of}: {len(summary.classes)} classes"
        yield from _classes(summary)
    if summary.distribution is not None:
        yield from _wrapped(_numbers(summary.distribution))
    for target, found in summary.distributions.items():
        yield from _wrapped(f"{_short(target)}: {_numbers(found)}")
    yield ""
    yield from _columns(summary)
    if summary.warnings:
        yield ""
        yield "To consider:"
        for warning in summary.warnings:
            yield from textwrap.wrap(
                warning, _WIDTH, initial_indent="  - ", subsequent_indent="    "
            )


def _folds(summary: DataSummary) -> Iterator[str]:
    """Yield the folds: in one line if they are alike, else a line for each."""
    folds = summary.folds
    trains, valids = ([getattr(fold, part) for fold in folds] for part in ("train", "valid"))
    if folds[0].first is not None:
        for number, fold in enumerate(folds, start=1):
            rows = f"to train {fold.train:,}, to validate {fold.valid:,}"
            yield f"  fold {number}: {rows}, from {fold.first} to {fold.last}"
        return
    each = f"to train {_span(trains)}, to validate {_span(valids)}"
    yield f"  {len(folds)} folds: {each}"
    if summary.classes and folds[0].classes:
        yield f"  class shares in each are within {_farthest(summary):.1%} of those of all rows"


def _span(counts: Sequence[int]) -> str:
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _farthest(summary: DataSummary) -> float:
    """Return the largest difference of a class's share in a fold from that in all rows."""
    return max(
        abs(fold.classes[name] / fold.valid - count / summary.rows)
        for fold in summary.folds
        for name, count in summary.classes.items()
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ")


def _classes(summary: DataSummary) -> Iterator[str]:
    ranked = sorted(summary.classes.items(), key=lambda item: -item[1])
    width = max(_cells(_short(name)) for name, _ in ranked)
    for name, count in ranked[:_CLASSES]:
        shown = _padded(_short(name), width)
        yield f"  {shown}  {count:>8,}  {count / summary.rows:6.1%}"
    if rest := ranked[_CLASSES:]:
        shares = [count / summary.rows for _, count in rest]
        yield f"  and {len(rest)} more, {shares[-1]:.1%} to {shares[0]:.1%} each"


def _numbers(found: Distribution) -> str:
    return (
        f"mean {_number(found.mean)}, deviation {_number(found.deviation)}, "
        f"median {_number(found.median)}, from {_number(found.lowest)} to "
        f"{_number(found.highest)}, skewness {found.skewness:.1f}"
    )


def _columns(summary: DataSummary) -> Iterator[str]:
    columns = summary.columns
    if len(columns) > _COLUMNS:
        columns = [c for c in columns if not _is_plain(c)][:_COLUMNS]
    rest = len(summary.columns) - len(columns)
    if columns:
        width = min(_NAME, max(6, *(_cells(_short(c.name)) for c in columns)))
        yield f"{'column':<{width}}  {'kind':<10}  missing   levels  features"
        for column in columns:
            yield from _column(column, width)
    if rest:
        plain = [c for c in summary.columns if _is_plain(c)]
        alike = "standardised numbers without gaps" if len(plain) == rest else "columns"
        others = "more " if columns else ""
        yield f"{rest:,} {others}{alike}, such as {_short((plain or summary.columns)[0].name)}"
    yield f"{_count(summary.features, 'feature')} in all"


def _is_plain(column: Column) -> bool:
    """Tell whether a column needs no line of its own in a wide table."""
    return column.kind in ("number", "boolean") and column.used and not column.missing


def _column(column: Column, width: int) -> Iterator[str]:
    from trainstack.search.data.weight_column import WEIGHT

    missing = f"{column.missing:.1%}" if column.missing else "–"
    unused = "weight" if column.why == WEIGHT else "left out"
    made = f"{column.features:,}" if column.used else unused
    yield (
        f"{_padded(_short(column.name), width)}  {column.kind:<10}  {missing:>7}  "
        f"{column.levels:>7,}  {made:>8}"
    )
    if column.why not in (*_USUAL, WEIGHT):
        yield from textwrap.wrap(
            column.why, _WIDTH, initial_indent="    ", subsequent_indent="    "
        )


def _short(name: str) -> str:
    """Return a name in one line of limited width, in which some characters take two columns."""
    plain = " ".join(name.split())
    if _cells(plain) <= _NAME:
        return plain
    return _padded(plain, _NAME - 1).rstrip() + "…"


def _cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    from rich.cells import cell_len

    return cell_len(text)


def _padded(text: str, width: int) -> str:
    """Return a text cut or filled with blanks to a number of columns."""
    from rich.cells import set_cell_size

    return set_cell_size(text, width)


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < _MOST_WRITTEN_OUT else f"{value:.4g}"
