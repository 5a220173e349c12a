"""Comparison of a JSON document with the table of documents, in both directions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from docs.fields import (
    FLAG,
    LIST,
    NUMBER,
    NUMBERS,
    OBJECT,
    OPEN,
    OR_NULL,
    STACK,
    TEXT,
    WHOLE,
    Document,
    Field,
)

_KINDS: dict[str, tuple[type, ...]] = {
    TEXT: (str,),
    WHOLE: (int,),
    NUMBER: (int, float),
    FLAG: (bool,),
    OBJECT: (dict,),
    LIST: (list,),
    STACK: (dict,),
    NUMBERS: (dict,),
}


def problems(document: Document, value: Any) -> list[str]:
    """Return differences between a value and the table: unknown, missing, mistyped fields."""
    table = {field.path: field for field in document.fields}
    seen: dict[str, list[Any]] = defaultdict(list)
    found: list[str] = []
    for path, item in walk(value, "", table):
        seen[path].append(item)
        if not path:
            continue
        if path in table:
            if not fits(table[path], item):
                found.append(f"{path} is {item!r:.60}, not {table[path].kind}")
        elif not any(known.startswith((f"{path}.", f"{path}[]")) for known in table):
            found.append(f"{path} is not in the table")
    for path, field in table.items():
        parent, _, key = path.rpartition(".")
        holders = [item for item in seen.get(parent, []) if isinstance(item, dict)]
        owed = not field.sometimes and not key.endswith("[]")
        if owed and len(holders) > len(seen[path]):
            found.append(f"{path} is missing")
    return list(dict.fromkeys(found))


def walk(value: Any, path: str, table: dict[str, Field]) -> Iterator[tuple[str, Any]]:
    """Yield every value with its path, outer ones first, except below open fields."""
    yield path, value
    if path in table and table[path].kind.removesuffix(OR_NULL) in OPEN:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, f"{path}.{key}" if path else key, table)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item, f"{path}[]", table)


def fits(field: Field, value: Any) -> bool:
    """Tell whether a value has the field's type."""
    kind = field.kind.removesuffix(OR_NULL)
    if value is None:
        return kind != field.kind or kind not in _KINDS
    if kind not in _KINDS:
        return True
    return isinstance(value, _KINDS[kind]) and (kind == FLAG or not isinstance(value, bool))
