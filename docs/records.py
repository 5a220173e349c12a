"""The rows of a document that is made of records, from their annotations and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from docs.fields import (
    ANY,
    FLAG,
    LIST,
    NUMBER,
    NUMBERS,
    OBJECT,
    OR_NULL,
    STACK,
    TEXT,
    WHOLE,
    Field,
)
from trainstack.search import json_values
from trainstack.spaces.stack import Stack

_KINDS = {str: TEXT, int: WHOLE, float: NUMBER, bool: FLAG, Stack: STACK}
_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n {8}.+)*)", re.M)


def rows(record: type, path: str = "") -> tuple[Field, ...]:
    """Return one row for each value in a record's document, as `json_safe` makes it.

    The kind is that of the annotation, the description that of the docstring's `Attributes`.

    Args:
        record: The dataclass of which the document is made.
        path: Where the record is in its document: `[]` if the document is a list of them.

    Raises:
        KeyError: The docstring does not describe a field.
    """
    return tuple(_rows(record, path))


def _rows(record: type, path: str) -> Iterator[Field]:
    hints, described = get_type_hints(record), attributes(record)
    for field in fields(record):
        hint = hints[field.name]
        if json_values.has(field, json_values.HIDDEN):
            continue
        if json_values.has(field, json_values.INLINE):
            yield from _rows(hint, path)
            continue
        sometimes = json_values.has(field, json_values.IF_ANY)
        hint = _without_none(hint)[0] if sometimes else hint
        hint = _or_null(hint) if json_values.has(field, json_values.OR_NULL) else hint
        at = f"{path}.{field.name}" if path else field.name
        yield from _value(hint, at, described[field.name].removesuffix("."), sometimes)


def _value(hint: Any, at: str, about: str = "", sometimes: bool = False) -> Iterator[Field]:
    """Yield the row of a value, then those of what it holds."""
    hint, is_optional = _without_none(hint)
    kind = _kind(hint)
    may_be_null = kind != ANY and (is_optional or _has_none(hint))
    yield Field(at, kind + (OR_NULL if may_be_null else ""), about, sometimes)
    if kind == LIST:
        item = get_args(hint)[0]
        yield from (_rows if is_record(item) else _value)(item, f"{at}[]")
    elif kind == OBJECT:
        yield from _rows(hint, at)


def _kind(hint: Any) -> str:
    origin = get_origin(hint)
    if origin in (tuple, Sequence):
        return LIST
    if origin is Mapping:
        return NUMBERS if get_args(hint)[1] in (int, float) else ANY
    if hint in _KINDS:
        return _KINDS[hint]
    if all(isinstance(part, type) and issubclass(part, Enum) for part in _parts(hint)):
        return TEXT
    return OBJECT if is_record(hint) else ANY


def is_record(hint: Any) -> bool:
    """Tell whether a type's document consists of its fields."""
    return is_dataclass(hint) and not hasattr(hint, "to_json")


def _or_null(hint: Any) -> Any:
    """Return the type of a number, or of numbers, that may be null."""
    if get_origin(hint) is tuple:
        return tuple[get_args(hint)[0] | None, ...]
    return hint | None


def _has_none(hint: Any) -> bool:
    """Tell whether an enumeration has a member that is null in a document."""
    return isinstance(hint, type) and issubclass(hint, Enum) and None in [m.value for m in hint]


def _without_none(hint: Any) -> tuple[Any, bool]:
    """Return a type without None, and whether it had it."""
    parts = _parts(hint)
    return reduce(or_, (part for part in parts if part is not NoneType)), NoneType in parts


def _parts(hint: Any) -> tuple[Any, ...]:
    """Return the types of a union, or the type itself."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def attributes(record: type) -> dict[str, str]:
    """Return the descriptions in a docstring's `Attributes`, by name, each on one line."""
    _, _, section = (inspect.getdoc(record) or "").partition("Attributes:\n")
    return {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(section)}
