"""Records and values as strict JSON: the one place where a document is made of records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol, TypeVar

from trainstack.spaces.errors import RequestError


class _Record(Protocol):
    """A dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


R = TypeVar("R", bound=_Record)

# Marks for the `metadata` of a record's field. The reference pages are generated from them too.
# Not part of the document.
HIDDEN: Mapping[str, bool] = {"hidden": True}
# Left out of the document if None.
IF_ANY: Mapping[str, bool] = {"if any": True}
# A record whose own fields stand in the document in place of this one.
INLINE: Mapping[str, bool] = {"inline": True}
# A number, or numbers, that may be nan or infinite, and then are null.
OR_NULL: Mapping[str, bool] = {"or null": True}


def json_safe(value: Any) -> Any:
    """Return a value in JSON's types: numbers that are not finite become None.

    A value with its own `to_json` decides itself. Any other dataclass becomes an object with its
    fields as keys, in their order; the marks above change that. NumPy arrays and scalars become
    lists and numbers, tuples lists, and keys texts.

    >>> json_safe({"loss": float("nan"), 1: (0.5,)})
    {'loss': None, '1': [0.5]}
    """
    # Nearly all values of a large document, its curves, are plain: the costly checks come later.
    if type(value) is float:
        return value if math.isfinite(value) else None
    if value is None or type(value) in (str, int, bool):
        return value
    if hasattr(value, "to_json"):
        return json_safe(value.to_json())
    if is_dataclass(value):
        return _object(value)
    if isinstance(value, Mapping):
        return {str(k): json_safe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(v) for v in value]
    if isinstance(value, Enum):
        return value.value
    if hasattr(value, "tolist"):
        return json_safe(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _object(record: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if has(field, INLINE):
            found |= _object(value)
        elif not has(field, HIDDEN) and not (has(field, IF_ANY) and value is None):
            found[field.name] = json_safe(value)
    return found


def has(field: Field[Any], mark: Mapping[str, bool]) -> bool:
    """Tell whether a record's field has a mark."""
    return mark.items() <= field.metadata.items()


def read_strictly(kind: type[R], document: Mapping[str, Any], path: str) -> R:
    """Build a record from a mapping of its fields; those with defaults may be missing.

    Args:
        kind: A dataclass.
        document: Its fields by name, with values of their types.
        path: Where the document stands, for messages.

    Raises:
        RequestError: A key is unknown or missing.
    """
    known = {f.name for f in fields(kind)}
    if unknown := sorted(set(document) - known):
        raise RequestError(
            f"{path}.{unknown[0]} is not known", "one of " + ", ".join(sorted(known))
        )
    try:
        return kind(**document)
    except TypeError as error:
        raise RequestError(f"{path} is incomplete ({error})") from None
