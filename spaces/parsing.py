"""Strict parsing of spaces: rejects unknown axes and choices, empty ranges, forbidden pairings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.axes import (
    BEYOND_CHAPTER,
    BUNDLE_AXIS,
    BUNDLES,
    CHOICE_AXES,
    NUMBER_AXES,
    SHAPE_TABLE,
    UNITS_AXIS,
)
from trainstack.spaces.choices import Choice
from trainstack.spaces.domains import Choices, Domain, Fixed, read_domain
from trainstack.spaces.errors import RequestError, nearest
from trainstack.spaces.initializers import INITIALIZERS
from trainstack.spaces.own_numbers import read_numbers
from trainstack.spaces.reusable import Reusable
from trainstack.spaces.stack import Stack

_TOP = ("name", "about", "cost", "axes", "network", "voids", "reused")
_ARMED = (BUNDLE_AXIS, UNITS_AXIS, *(axis for axis in CHOICE_AXES if axis != "initializer"))
_ALL_AXES = (*_ARMED, *NUMBER_AXES)
# An axis missing from a space takes its first choice: none, plain, or the usual stopping.
_OPTIONAL = (
    *("bundle", "connection", "input_normalization", "penalty", "max_norm", "clipping"),
    *("stopping", *BEYOND_CHAPTER),
)


def read_space(document: Any) -> dict[str, Any]:
    """Return the parts of the space that a document describes: the attributes of `Space`.

    Raises:
        RequestError: The first problem found, with its path.
    """
    for problem in _problems(document, parts := {}):
        raise problem
    return parts


def problems(document: Any) -> list[str]:
    """Return every problem of a document, one line each; empty for a valid space."""
    return [str(problem) for problem in _problems(document, {})]


def _problems(document: Any, parts: dict[str, Any]) -> Iterator[RequestError]:
    """Yield every problem and store the valid parts in `parts`."""
    if not isinstance(document, Mapping):
        yield RequestError(f"a space is {type(document).__name__}", "an object with name and axes")
        return
    for key in document:
        if key not in _TOP:
            yield RequestError(f"{key!r} is no part of a space", hint=nearest(str(key), _TOP))
    for key in ("name", "about", "cost", "voids"):
        parts[key] = document.get(key, "")
        if not isinstance(parts[key], str) or (key == "name" and not parts[key]):
            yield RequestError(f"{key} is {parts[key]!r}", "a text")
    axes = document.get("axes")
    if not isinstance(axes, Mapping):
        yield RequestError(f"axes is {axes!r}", "an object of axes")
        return
    for axis in axes:
        if axis == "initializer":
            yield RequestError(
                "axes.initializer stands alone",
                "the initializers on each activation: an initializer goes with its activation",
            )
        elif axis not in _ALL_AXES:
            yield RequestError(
                f"axes.{axis} is not known", hint=nearest(str(axis), list(_ALL_AXES))
            )
    arms: dict[str, Any] = {}
    for axis in _ARMED:
        if axis not in axes and axis not in _OPTIONAL:
            yield RequestError(f"axes.{axis} is missing", "at least one choice")
            continue
        arms[axis] = {}
        default = {"free": {}} if axis == BUNDLE_AXIS else {_first(axis): {}}
        yield from _read_arms(axis, axes.get(axis, default), arms[axis])
    numbers: dict[str, Domain] = {}
    for axis, parameter in NUMBER_AXES.items():
        given = axes.get(axis, parameter.default)
        yield from _caught(
            numbers, axis, lambda g=given, p=parameter, a=axis: read_domain(g, p, f"axes.{a}")
        )
    parts["arms"], parts["numbers"] = arms, numbers
    yield from _caught(parts, "network", lambda: read_numbers(document.get("network", {})))
    yield from _reused(document.get("reused"), parts)


def _reused(document: Any, parts: dict[str, Any]) -> Iterator[RequestError]:
    """Read the layers of a saved model, which the bundle of that name needs."""
    if document is not None:
        yield from _caught(parts, "reused", lambda: Reusable.from_json(document))
    elif "reused" in parts["arms"].get(BUNDLE_AXIS, ()):
        yield RequestError("axes.bundle.reused has no model", "--reuse MODEL.keras, which adds it")


def _first(axis: str) -> str:
    return next(iter(CHOICE_AXES[axis])) if axis in CHOICE_AXES else "free"


def _rows(axis: str) -> Mapping[str, Choice]:
    if axis == BUNDLE_AXIS:
        return {name: Choice(name, about) for name, about in BUNDLES.items()}
    return SHAPE_TABLE if axis == UNITS_AXIS else CHOICE_AXES[axis]


def _read_arms(axis: str, document: Any, arms: dict[str, Any]) -> Iterator[RequestError]:
    """Read one axis: its choices, each with the domains of its parameters."""
    path, rows = f"axes.{axis}", _rows(axis)
    if not isinstance(document, Mapping) or not document:
        yield RequestError(f"{path} is {document!r}", "an object with at least one choice")
        return
    for arm, given in document.items():
        here = f"{path}.{arm}"
        if arm not in rows:
            yield RequestError(f"{here} is not known", hint=nearest(str(arm), list(rows)))
        elif not isinstance(given, Mapping):
            yield RequestError(f"{here} is {given!r}", "an object of its parameters, {} for none")
        else:
            arms[arm] = {}
            yield from _read_parameters(axis, rows[arm], given, arms[arm], here)


def _read_parameters(
    axis: str, row: Choice, given: Mapping[str, Any], found: dict[str, Domain], path: str
) -> Iterator[RequestError]:
    """Read the domains of one arm; a missing parameter takes its default."""
    special = {"activation": ("initializer",), UNITS_AXIS: ("units",) * (row.name == "list")}
    known = (*special.get(axis, ()), *(p.name for p in row.parameters))
    for name in given:
        if name not in known:
            hint = nearest(str(name), list(known)) if known else f"{row.name} has no parameter"
            yield RequestError(f"{path}.{name} is not known", hint=hint)
    for name in special.get(axis, ()):
        read = _initializers if name == "initializer" else _unit_lists
        yield from _caught(
            found, name, lambda r=read, n=name: r(row.name, given.get(n), f"{path}.{n}")
        )
    for parameter in row.parameters:
        value = given.get(parameter.name, parameter.default)
        yield from _caught(
            found,
            parameter.name,
            lambda v=value, p=parameter: read_domain(v, p, f"{path}.{p.name}"),
        )


def _caught(found: dict, name: str, read: Callable[[], Any]) -> Iterator[RequestError]:
    try:
        found[name] = read()
    except RequestError as problem:
        yield problem


def _initializers(activation: str, given: Any, path: str) -> Domain:
    """Read the initializers that may be drawn for an activation; default: the usual one."""
    allowed = ACTIVATIONS[activation].initializers
    names = given.get("choices") if isinstance(given, Mapping) else given
    if names is None and given is None:
        return Fixed(allowed[0])
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names:
        raise RequestError(f"{path} is {given!r}", "a name or {'choices': [names]}")
    for name in names:
        if name not in INITIALIZERS:
            raise RequestError(f"{path} has {name!r}", hint=nearest(str(name), list(INITIALIZERS)))
        if name not in allowed:
            raise RequestError(
                f"{path} pairs {name!r} with {activation!r}",
                "an initializer that goes with it: " + ", ".join(allowed),
            )
    return Fixed(names[0]) if len(names) == 1 else Choices(tuple(names))


def _unit_lists(shape: str, given: Any, path: str) -> Domain:
    """Read the lists of widths that may be drawn."""
    lists = given.get("choices") if isinstance(given, Mapping) else [given]
    if not isinstance(lists, list) or not lists:
        raise RequestError(f"{path} is {given!r}", "{'choices': [lists of widths]}")
    checked = tuple(Stack.of(units=units).units for units in lists)
    return Fixed(checked[0]) if len(checked) == 1 else Choices(checked)
