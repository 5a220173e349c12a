"""The inputs of a table's exported model: one for each column that the encoder takes."""

from __future__ import annotations

from collections.abc import Iterable

from trainstack.search.data.spelling import Spelling

# Parts of the exported model, whose names no input can have.
COLUMNS, NETWORK = "columns", "network"


def input_names(columns: Iterable[str]) -> dict[str, str]:
    """Return each column's input, by the column's name.

    It is the column's name, but for a slash, which Keras does not allow, and names that are taken.

    >>> input_names(["age", "km/h", "km_h", "network"])
    {'age': 'age', 'km/h': 'km_h', 'km_h': 'km_h_', 'network': 'network_'}
    """
    found: dict[str, str] = {}
    taken = {COLUMNS, NETWORK}
    for column in columns:
        name = column.replace("/", "_") or "_"
        while name in taken:
            name += "_"
        taken.add(name)
        found[column] = name
    return found


def is_text(spelling: Spelling | None) -> bool:
    """Return whether a model takes a column as texts: categories, and truth values in words.

    Numbers are taken as numbers, dates as days and as parts of the calendar, and truth values that
    are written `true` and `false` as 1 and 0: pandas reads them so.
    """
    if spelling is None:
        return False
    return spelling.kind == "category" or (spelling.kind == "truth" and spelling.true != "true")
