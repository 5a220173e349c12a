"""Words that mark a missing number in a target, such as R's NA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainstack.search.data.column_names import shown
from trainstack.search.data.columns import as_text
from trainstack.search.data.spelling import MISSING_WORDS, decide


def emptied(frame: Any, targets: Sequence[str]) -> tuple[Any, dict[str, list[str]]]:
    """Return a table without words that mark a missing target, and those words by target.

    They are such words only beside numbers: among other texts NA may be a class.

    Args:
        frame: The table.
        targets: The columns to predict.
    """
    words = {name: found for name in targets if (found := _words_of(frame[name]))}
    without = {
        name: frame[name].mask(as_text(frame[name]).isin(some), "") for name, some in words.items()
    }
    return frame.assign(**without), words


def _words_of(column: Any) -> list[str]:
    """Return the words that mark a missing value in a target."""
    from pandas import CategoricalDtype
    from pandas.api.types import is_numeric_dtype

    if is_numeric_dtype(column) or isinstance(column.dtype, CategoricalDtype):
        return []
    texts = set(as_text(column))
    if MISSING_WORDS.isdisjoint(text.lower() for text in texts):
        return []
    spelling = decide(texts)
    has_numbers = spelling.kind == "number" and texts - {"", *spelling.missing}
    return list(spelling.missing) if has_numbers else []


def emptying(words: Mapping[str, Sequence[str]]) -> list[str]:
    """Return lines of Python that remove those words from `frame`."""
    return [
        f'frame[{name!r}] = frame[{name!r}].mask(as_text(frame[{name!r}]).isin({list(some)!r}), "")'
        for name, some in words.items()
    ]


def missing_notes(words: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what the words mean, in sentences."""
    return [
        f"The target {shown(name)} is missing where it is {' or '.join(map(repr, some))}."
        for name, some in words.items()
    ]


def holds_target(texts: Any, known: Sequence[str]) -> Any:
    """Return which texts [N] are values of a target, of which some classes may be known, bool [N].

    Args:
        texts: Stripped texts, a series.
        known: Names of the classes; none for a quantity.
    """
    return (texts != "") & (texts.isin(list(known)) | ~texts.str.lower().isin(MISSING_WORDS))
