"""The types of the table of JSON documents."""

from __future__ import annotations

from dataclasses import dataclass

# Suffix of a kind whose value may be null.
OR_NULL = " or null"
TEXT, WHOLE, NUMBER, FLAG = "text", "whole number", "number", "true or false"
# The table has a row for every field of these.
OBJECT, LIST = "object", "list"
# Their keys or values are described elsewhere or vary, so they have no rows below them.
STACK, NUMBERS, ANY = "stack", "numbers by name", "any"
OPEN = (STACK, NUMBERS, ANY)


@dataclass(frozen=True)
class Field:
    """A value in a document.

    Attributes:
        path: Path of the value, such as `workers[].id`.
        kind: One of the kinds above, with OR_NULL if it may be null.
        about: Description, with the unit.
        sometimes: True if the key itself may be missing.
    """

    path: str
    kind: str
    about: str
    sometimes: bool = False


@dataclass(frozen=True)
class Document:
    """A document that verbs print.

    Attributes:
        verbs: Verbs that print it, named as in the command's registry.
        about: Description in one line.
        fields: Fields of the document.
    """

    verbs: tuple[str, ...]
    about: str
    fields: tuple[Field, ...]
