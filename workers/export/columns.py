"""A table's exported model: takes the columns as they are in the table, by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import keras
import numpy as np
import pandas as pd

from trainstack.search.data.columns import MISSING
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.model_inputs import COLUMNS, NETWORK, input_names, is_text
from trainstack.search.data.spelling import Spelling

# Its annotations allow None for the result of every operation.
ops: Any = keras.ops
# A text that is in no column, as stripped texts have no blank at their ends.
_UNKNOWN = " unknown "


def from_columns(network: keras.Model, dataset: Dataset, encoder: Any) -> keras.Model:
    """Return a model of a table's columns from the model of its encoded features.

    Its inputs are named as `input_names`: numbers [B] with NaN for missing ones, and texts [B]
    without blanks around them, empty for missing ones (`is_text`). It gives exactly the features of
    the encoder: medians, indicators of missing values, and categories as one-hot, where unknown
    ones are treated as in training.

    Args:
        network: Takes encoded features [B, D].
        dataset: The table.
        encoder: The fitted scikit-learn transformer (`trainstack.search.data.encoding`).
    """
    kind = network.inputs[0].dtype
    names = input_names(dataset.columns)
    inputs = [
        keras.Input((), dtype="string" if _is_text(dataset, column) else kind, name=names[column])
        for column in dataset.columns
    ]
    encoded = _encoding(dataset, encoder, kind)(inputs)
    network.name = NETWORK
    return keras.Model(dict(zip(names.values(), inputs, strict=True)), network(encoded))


def levels_of(dataset: Dataset, encoder: Any) -> dict[str, list[str]]:
    """Return the categories of each text column that a fitted encoder knows, rare ones included."""
    if not dataset.text:
        return {}
    known = encoder.named_transformers_["category"].categories_
    return {name: list(levels) for name, levels in zip(dataset.text, known, strict=True)}


def _is_text(dataset: Dataset, column: str) -> bool:
    return is_text(dataset.spellings.get(column)) or column in dataset.text


def _encoding(dataset: Dataset, encoder: Any, kind: str) -> keras.Model:
    """Return the encoder as a model of the columns in their order."""
    inputs, numbers = [], []
    for column in dataset.numeric:
        text = _is_text(dataset, column)
        each = keras.Input((), dtype="string" if text else kind)
        inputs.append(each)
        found = _truths(each, dataset.spellings[column], kind) if text else each
        numbers.append(ops.reshape(found, (-1, 1)))
    parts = _filled(numbers, dataset, encoder, kind) if numbers else []
    for table in _one_hot(dataset, encoder):
        each = keras.Input((), dtype="string")
        inputs.append(each)
        parts.append(_looked_up(each, *table, kind))
    features = ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
    return keras.Model(inputs, features, name=COLUMNS)


def _filled(numbers: Sequence[Any], dataset: Dataset, encoder: Any, kind: str) -> list[Any]:
    """Return numbers with medians in place of missing ones, and indicators of those."""
    found = ops.concatenate(numbers, axis=-1) if len(numbers) > 1 else numbers[0]
    # A column without a value in any training row has no median: scikit-learn takes 0.
    medians = np.nan_to_num(encoder.named_transformers_["number"].statistics_).astype(kind)
    absent = ops.isnan(found)
    parts = [ops.where(absent, medians, found)]
    gaps = [dataset.numeric.index(column) for column in dataset.has_missing]
    if gaps:
        parts.append(ops.cast(ops.take(absent, np.array(gaps, np.int32), axis=-1), kind))
    return parts


def _truths(texts: Any, spelling: Spelling, kind: str) -> Any:
    """Return 1 and 0 for truth values in words, in any case; NaN for other texts."""
    rows = {
        variant: [value]
        for word, value in ((spelling.true, 1.0), (spelling.false, 0.0))
        for variant in _in_any_case(word)
    }
    return _looked_up(texts, rows, [np.nan], kind)


def _in_any_case(word: str) -> list[str]:
    """Return a word in all combinations of lower and upper case.

    >>> _in_any_case("no")
    ['no', 'nO', 'No', 'NO']
    """
    return ["".join(letters) for letters in product(*((c, c.upper()) for c in word))]


def _looked_up(
    texts: Any, rows: Mapping[str, Sequence[float]], unknown: Sequence[float], kind: str
) -> Any:
    """Return each text's row of numbers, [B, F]."""
    words = list(rows)
    mark = "[unknown]"
    while mark in rows:
        mark += "_"
    places = keras.layers.StringLookup(vocabulary=words, oov_token=mark)(texts)
    table = np.array([unknown, *(rows[word] for word in words)], kind)
    return keras.layers.Embedding(*table.shape, weights=[table], trainable=False, dtype=kind)(
        places
    )


def _one_hot(
    dataset: Dataset, encoder: Any
) -> list[tuple[dict[str, Sequence[float]], Sequence[float]]]:
    """Return each text column's features by its texts, and those of any other text."""
    if not dataset.text:
        return []
    one_hot = encoder.named_transformers_["category"]
    found, first = [], 0
    usual = dict.fromkeys(dataset.text, _UNKNOWN)
    widths = _widths(one_hot)
    for name, levels, width in zip(dataset.text, one_hot.categories_, widths, strict=True):
        texts = [_UNKNOWN, *levels]
        frame = pd.DataFrame({**usual, name: texts}, columns=list(dataset.text), dtype=object)
        unknown, *known = one_hot.transform(frame)[:, first : first + width].tolist()
        rows = dict(zip(levels, known, strict=True))
        absent = ["", *dataset.spellings[name].missing]
        rows |= dict.fromkeys(absent, rows.get(MISSING, unknown))
        found.append((rows, unknown))
        first += width
    return found


def _widths(one_hot: Any) -> list[int]:
    """Return the number of features of each column of a fitted one-hot encoder."""
    rare = getattr(one_hot, "infrequent_categories_", [None] * len(one_hot.categories_))
    return [
        len(levels) - (0 if few is None else len(few) - 1)
        for levels, few in zip(one_hot.categories_, rare, strict=True)
    ]
