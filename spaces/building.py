"""A space's axes from Python's objects: the JSON that a file would hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainstack.spaces.axes import BUNDLE_AXIS, CHOICE_AXES, NUMBER_AXES, SHAPE_TABLE, UNITS_AXIS
from trainstack.spaces.domains import Choices, Fixed, Range
from trainstack.spaces.errors import RequestError

# Parameters whose single value is itself a list.
_LISTS = ("units",)


def axis_document(axis: str, given: Any) -> Any:
    """Return one axis as in a space's JSON.

    Args:
        axis: Name of the axis.
        given: Of an axis that is a number its domain; else choice → parameters, as in `Space.of`.

    Raises:
        RequestError: A choice with several numbers, or none, has a domain without a name.
    """
    if axis in NUMBER_AXES:
        return domain_document(given)
    if not isinstance(given, Mapping):
        return given  # refused when the space is read, with its path
    return {arm: _parameters(axis, arm, value) for arm, value in given.items()}


def _parameters(axis: str, arm: str, given: Any) -> Any:
    """Return the parameters of one choice; `...` and None leave every one at its default."""
    if given is ... or given is None:
        return {}
    if isinstance(given, Mapping) and not _is_domain(given):
        return {name: domain_document(value, name) for name, value in given.items()}
    names = _names(axis, arm)
    if len(names) != 1:
        raise RequestError(
            f"axes.{axis}.{arm} is {given!r}",
            "a mapping of its parameters: " + (", ".join(names) or "it has none"),
        )
    return {names[0]: domain_document(given, names[0])}


def _names(axis: str, arm: str) -> list[str]:
    """Return the parameters of a choice; none if it is unknown."""
    if axis == BUNDLE_AXIS:
        return []
    rows: Mapping[str, Any] = SHAPE_TABLE if axis == UNITS_AXIS else CHOICE_AXES.get(axis, {})
    if (axis, arm) == (UNITS_AXIS, "list"):
        return ["units"]
    own = ["initializer"] if axis == "activation" else []
    return [*own, *(p.name for p in rows[arm].parameters)] if arm in rows else []


def _is_domain(given: Mapping[str, Any]) -> bool:
    return set(given) in ({"choices"}, {"low", "high"}, {"low", "high", "log"})


def domain_document(given: Any, name: str = "") -> Any:
    """Return a domain as in a space's JSON: a list offers its values.

    >>> domain_document(Range(0.1, 0.4)), domain_document([16, 32]), domain_document(0.9)
    ({'low': 0.1, 'high': 0.4}, {'choices': [16, 32]}, 0.9)
    >>> domain_document([300, 100], "units")
    [300, 100]
    """
    if isinstance(given, Fixed | Range | Choices):
        return given.to_json()
    if isinstance(given, list | tuple):
        values = [list(value) if isinstance(value, tuple) else value for value in given]
        if name in _LISTS and not any(isinstance(value, list) for value in values):
            return values
        return {"choices": values}
    return given
