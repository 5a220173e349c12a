"""How a data set's rows are divided, in words, and what to consider about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from trainstack.search.data.column_names import shown
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.kinds import names_rows
from trainstack.search.data.split_keys import HELD_OUT_FRACTION

_PARTS = {"train": "training", "valid": "validation", "test": "test"}
# With fewer groups in a part, its figures depend on which they are.
_FEW_GROUPS = 5
# Shares of rows held out, relative to those asked for, that are not worth a word.
_NEAR = (0.5, 1.5)


def division_of(dataset: Dataset, folds: int = 1) -> str:
    """Return one phrase that says how rows become parts, or parts and folds."""
    given = [_PARTS[part] for part in ("valid", "test") if part in dataset.parts]
    if len(given) == 2:
        return "divided as given"
    start = f"the {given[0]} part as given, the others " if given else "divided "
    return start + _drawn(dataset, folds)


def _drawn(dataset: Dataset, folds: int) -> str:
    keys, plan = dataset.keys, dataset.plan
    if keys.groups is not None:
        count = len(np.unique(keys.groups))
        where = "one part or fold" if folds > 1 else "one part"
        return f"by {shown(plan.group or '')}, each of its {count:,} values in {where}"
    if keys.times is None:
        return "at random" + (", stratified by class" if dataset.classes else "")
    starts = [
        f"{_PARTS[part]} from {keys.shown_time(float(keys.times[rows].min()))}"
        for part, rows in dataset.division.positions(0).items()
        if part == "test" or (part == "valid" and folds == 1)
    ]
    gap = f", with a gap of {plan.gap}" if plan.gap else ""
    order = f"in the order of {shown(plan.time or '')}"
    return f"{order}: {', '.join(starts)}{gap}" if starts else order + gap


def division_warnings(dataset: Dataset, folds: int = 1) -> Iterator[str]:
    """Yield one sentence for each thing to consider about the parts, or folds, of seed 0."""
    found = dataset.division.positions(0)
    if folds > 1:
        del found["valid"]
    yield from _lacking_classes(dataset, found)
    if dataset.keys.groups is not None:
        yield from _group_warnings(dataset, found)
        if folds > 1:
            yield from _few_groups_in_folds(dataset, folds)
    elif dataset.keys.times is None and len(dataset.parts) == 1:
        yield from _hints(dataset)


def _lacking_classes(dataset: Dataset, found: Mapping[str, np.ndarray]) -> Iterator[str]:
    parts = {**found, **dataset.parts}
    for part in ("valid", "test") if dataset.classes else ():
        if part not in parts:  # folds are refused instead
            continue
        y = dataset.y[found[part]] if part in found else dataset.parts[part].y
        lacking = np.flatnonzero(np.bincount(y, minlength=len(dataset.classes)) == 0)
        if len(lacking):
            named = ", ".join(f"'{dataset.classes[label]}'" for label in lacking[:5])
            more = " and others" if len(lacking) > 5 else ""
            yield f"The {_PARTS[part]} part has no row of class {named}{more}."


def _group_warnings(dataset: Dataset, found: Mapping[str, np.ndarray]) -> Iterator[str]:
    groups, name = dataset.keys.groups, shown(dataset.plan.group or "")
    assert groups is not None
    left = len(groups)
    for part in ("test", "valid"):
        if part not in found:
            continue
        rows, wanted = len(found[part]), HELD_OUT_FRACTION * left
        left -= rows
        if not _NEAR[0] <= rows / wanted <= _NEAR[1]:
            yield (
                f"The {_PARTS[part]} part has {rows:,} rows instead of about {wanted:,.0f}, since "
                f"the groups of {name} are kept whole."
            )
        if (count := len(np.unique(groups[found[part]]))) < _FEW_GROUPS:
            yield (
                f"The {_PARTS[part]} part has {count} group(s) of {name}: its figures say little "
                "about other groups."
            )


def _few_groups_in_folds(dataset: Dataset, folds: int) -> Iterator[str]:
    groups, name = dataset.keys.groups, shown(dataset.plan.group or "")
    assert groups is not None
    held = [rows["valid"] for rows in dataset.division.folds(folds, 1, seed=0)]
    fewest = min(len(np.unique(groups[rows])) for rows in held)
    if fewest < _FEW_GROUPS:
        yield (
            f"A fold validates on {fewest} group(s) of {name}: the folds' scores will differ much."
        )


def _hints(dataset: Dataset) -> Iterator[str]:
    """Yield what may divide rows better than chance: dates, and identifiers that recur."""
    for column in dataset.described:
        if column.kind == "date" and column.used:
            yield (
                f"Rows have dates in {shown(column.name)}, yet are divided at random: to predict "
                f"later rows from earlier ones, use --time {shown(column.name)}."
            )
        elif column.used and column.kind == "category" and names_rows(column.name):
            yield (
                f"Rows share values of {shown(column.name)}: if those belong together and new ones "
                f"are to be predicted, use --group {shown(column.name)}."
            )
