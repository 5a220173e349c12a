"""Names of columns, as they are in a file and as a user writes them."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from trainstack.spaces.errors import RequestError, nearest


def plain(name: str) -> str:
    """Return a column's name with each run of blanks and line breaks as one blank."""
    return " ".join(name.split())


def shown(name: str) -> str:
    """Return a column's name in one line, as accepted by the flags that name columns."""
    return f"'{plain(name)}'"


def column_named(wanted: str, names: Sequence[str], flag: str, file: str) -> str:
    """Return the column of a given name; runs of blanks and line breaks count as one blank.

    Raises:
        RequestError: There is no such column; the hint is the nearest name.
    """
    found = find(wanted, names)
    if found is None:
        raise RequestError(
            f"{file} has no column {shown(wanted)}",
            f"a column for {flag}",
            nearest(plain(wanted), [*map(plain, names)]),
        )
    return found


def listed(text: str, names: Sequence[str]) -> list[str]:
    """Return the names in a flag's value: one, or several with commas between them.

    A name that contains a comma is itself a column if there is one, else it stands in quotes.

    >>> listed("a, b", ["a", "b", "a, b, c"]), listed("a, b, c", ["a", "b", "a, b, c"])
    (['a', 'b'], ['a, b, c'])
    """
    if "," not in text or find(text, names) is not None:
        return [text]
    return next(csv.reader([text.replace("\n", " ")], skipinitialspace=True))


def find(wanted: str, names: Sequence[str]) -> str | None:
    """Return the column of a given name, or None."""
    if wanted in names:
        return wanted
    same = [plain(name) for name in names]
    asked = plain(wanted.replace("\\n", " "))
    return names[same.index(asked)] if same.count(asked) == 1 else None
