"""Generated Python code that loads and splits a data set without this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trainstack.search.data.dataset import Dataset
from trainstack.search.data.division import TEST_SEED
from trainstack.search.data.kinds import MAX_CATEGORIES
from trainstack.search.data.row_splits import BY_GROUP, BY_TIME
from trainstack.search.data.split_keys import HELD_OUT_FRACTION
from trainstack.search.data.strata import strata
from trainstack.search.data.table_code import source


def python_lines(dataset: Dataset, validation: bool = True) -> list[str]:
    """Return lines that give the same arrays as `Dataset.split(seed)`, or `Dataset.whole`.

    They need NumPy, scikit-learn and, for tables, pandas, read the variable `seed`, and define
    `x_train`, `y_train`, `x_valid`, `y_valid`, `x_test`, `y_test` (encoded, not standardised) and,
    for tables, the fitted `encoder`; and `x_unlabelled` if the data has rows without a target.

    Args:
        dataset: Data as returned by `load`.
        validation: Whether there is a validation part; else its rows are in the training part.
    """
    given = [part for part in ("train", "valid", "test") if part in dataset.parts]
    lines = list(dataset.python)
    imports = []
    kind = "float64" if dataset.task == "regression" else "int32"
    for part in given:
        flat = "" if dataset.targets else ".reshape(-1)"
        lines.append(f'y_{part} = y_{part}{flat}.astype("{kind}")')
        if not dataset.is_table:
            wide = dataset.parts[part].x.dtype == "float64"
            number = "float64" if wide else "float32"
            lines.append(f'x_{part} = x_{part}.reshape(len(x_{part}), -1).astype("{number}")')
    if dataset.unlabelled is not None and not dataset.is_table:
        number = dataset.unlabelled.dtype.name.replace("uint8", "float32")
        flat = "x_unlabelled.reshape(len(x_unlabelled), -1)"
        lines.append(f'x_unlabelled = {flat}.astype("{number}")')
    if dataset.has_weights:
        lines += [f'w_{part} = w_{part}.reshape(-1).astype("float64")' for part in given]
    wanted = ("test", "valid") if validation else ("test",)
    cuts = [part for part in wanted if part not in given]
    functions = _functions(dataset) if cuts else ()
    if cuts:
        imports += [] if functions else ["from sklearn.model_selection import train_test_split"]
        lines += source(strata) if dataset.labels and not functions else [""]
    for function in functions:
        lines += [*source(function), ""]
    if "test" in cuts:
        lines += _cut("test", str(TEST_SEED), dataset)
    if dataset.is_table:
        lines.append("categories = [sorted(set(x_train[name])) for name in text]")
    if "valid" in given and not validation:
        lines += _joined(dataset)
    if "valid" in cuts:
        lines += _cut("valid", "seed", dataset)
    if dataset.is_table:
        imports += [
            "from sklearn.compose import ColumnTransformer",
            "from sklearn.impute import MissingIndicator, SimpleImputer",
            "from sklearn.preprocessing import OneHotEncoder",
        ]
        lines += _ENCODER.format(max_categories=MAX_CATEGORIES).splitlines()
        others = ("valid", "test") if validation else ("test",)
        others += ("unlabelled",) * (dataset.unlabelled is not None)
        lines += [f"x_{part} = encoder.transform(x_{part})" for part in others]
    return [*sorted(imports), *lines]


def _joined(dataset: Dataset) -> list[str]:
    """Return lines that add the given validation part to the training part."""
    axes = ["y", *("w" if dataset.has_weights else "")]
    lines = [f"{axis}_train = np.concatenate([{axis}_train, {axis}_valid])" for axis in axes]
    join = "pd.concat([x_train, x_valid], ignore_index=True)"
    return [
        f"x_train = {join if dataset.is_table else 'np.concatenate([x_train, x_valid])'}",
        *lines,
    ]


def _functions(dataset: Dataset) -> tuple[Callable[..., Any], ...]:
    """Return the functions by which rows are held out; none: scikit-learn's."""
    if dataset.keys.groups is not None:
        return BY_GROUP
    return BY_TIME if dataset.keys.times is not None else ()


def _cut(part: str, seed: str, dataset: Dataset) -> list[str]:
    if dataset.keys.arrays():
        return _cut_by_keys(part, seed, dataset)
    by = "strata(y_train)" if dataset.labels else "y_train"
    stratify = "" if dataset.task == "regression" else f", stratify={by}"
    axes = "xyw" if dataset.has_weights else "xy"
    halves = ", ".join(f"{axis}_train, {axis}_{part}" for axis in axes)
    rows = ", ".join(f"{axis}_train" for axis in axes)
    return [
        f"{halves} = train_test_split(",
        f"    {rows}, test_size={HELD_OUT_FRACTION}, random_state={seed}{stratify}",
        ")",
    ]


def _cut_by_keys(part: str, seed: str, dataset: Dataset) -> list[str]:
    keys = dataset.keys
    if keys.groups is not None:
        strata = "y_train" if dataset.classes else "np.zeros(len(y_train), int)"
        call, key = f"whole_groups({strata}, groups, {seed})", "groups"
    else:
        gap = f", {keys.gap_rows}, {keys.gap_time}" if keys.gap_rows or keys.gap_time else ""
        call, key = f"latest_rows(times, {HELD_OUT_FRACTION}{gap})", "times"
    axes = ["y", *("w" if dataset.has_weights else "")]
    return [
        f"kept, held = {call}",
        f"x_train, x_{part} = x_train.iloc[kept], x_train.iloc[held]",
        *(f"{axis}_train, {axis}_{part} = {axis}_train[kept], {axis}_train[held]" for axis in axes),
        f"{key} = {key}[kept]",
    ]


_ENCODER = """\

number = SimpleImputer(strategy="median", keep_empty_features=True)
category = OneHotEncoder(
    categories=categories,
    handle_unknown="infrequent_if_exist",
    max_categories={max_categories},
    sparse_output=False,
    dtype=np.float32,
)
encoder = ColumnTransformer(
    [
        ("number", number, numeric),
        ("missing", MissingIndicator(features="all"), has_missing),
        ("category", category, text),
    ]
)
x_train = encoder.fit_transform(x_train)"""
