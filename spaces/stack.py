"""A stack: one complete configuration in canonical form, with a fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.axes import (
    BEYOND_CHAPTER,
    CHOICE_AXES,
    NUMBER_AXES,
    SELF_NORMALIZING,
    UNITS_AXIS,
    only_choice,
)
from trainstack.spaces.choices import look_up
from trainstack.spaces.errors import RequestError, nearest
from trainstack.spaces.own_numbers import PREFIX, check_value
from trainstack.spaces.shapes import MOST_LAYERS, MOST_UNITS
from trainstack.spaces.stopping import STOPPINGS


@dataclass(frozen=True)
class Stack:
    """One configuration, flat: axis → choice, `axis.parameter` → number.

    Build one with `Stack.of` (defaults filled in) or `Stack.from_json` (nothing left out). Only
    active parameters are kept, in one order, so equal stacks are equal objects. The numbers of a
    user's own network are `network.NAME`, in the order of their names.

    >>> stack = Stack.of(units=[300, 100], activation="relu", initializer="he_normal")
    >>> stack["optimizer"], stack["optimizer.learning_rate"]
    ('nadam', 0.001)
    >>> Stack.from_json(stack.to_json()) == stack
    True
    """

    items: tuple[tuple[str, Any], ...]

    def __getitem__(self, key: str) -> Any:
        """Return the value at `axis` or `axis.parameter`; raise KeyError if it is not active."""
        return self._values[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value at `axis` or `axis.parameter`, or `default` if it is not active."""
        return self._values.get(key, default)

    @cached_property
    def _values(self) -> dict[str, Any]:
        return dict(self.items)

    @property
    def units(self) -> tuple[int, ...]:
        """Widths of the hidden layers, first to last."""
        return self[UNITS_AXIS]

    def planned_epochs(self, most: int) -> int:
        """Return the planned epochs of this stack if a run may take at most `most`."""
        return max(1, round(self["plan_fraction"] * most))

    def numbers(self, axis: str) -> dict[str, Any]:
        """Return the active parameters of one axis by their own names."""
        prefix = axis + "."
        return {k.removeprefix(prefix): v for k, v in self.items if k.startswith(prefix)}

    @property
    def self_normalizing(self) -> bool:
        """True if all choices of self-normalization are made.

        A user's own network decides as well: `Space.voids`.
        """
        return all(self[axis] == choice for axis, choice in SELF_NORMALIZING.items())

    @property
    def drops_alpha(self) -> bool:
        """True if its dropout is alpha dropout: with SELU, unless the parametrization is NTK.

        >>> Stack.of().drops_alpha, Stack.of(parametrization="ntk").drops_alpha
        (True, False)
        """
        return self["activation"] == "selu" and self["parametrization"] == "standard"

    @property
    def family(self) -> str:
        """`self-normalizing`, `batch-normalized` or `plain`."""
        if self.self_normalizing:
            return "self-normalizing"
        return "plain" if self["normalization"] == "none" else "batch-normalized"

    def family_in(self, voids: str) -> str:
        """Return the family in a network that has what voids self-normalization; empty: nothing.

        >>> Stack.of().family_in(""), Stack.of().family_in("a convolution")
        ('self-normalizing', 'plain')
        """
        return "plain" if voids and self.self_normalizing else self.family

    @cached_property
    def stack_id(self) -> str:
        """Twelve hexadecimal digits that equal stacks share."""
        usual = BEYOND_CHAPTER.items()
        counted = {k: v for k, v in self.to_json().items() if (k, v) not in usual}
        text = json.dumps(counted, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the flat document; `from_json` reads it back exactly."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in self.items}

    def to_keywords(self) -> dict[str, Any]:
        """Return the keywords for which `Stack.of` builds this stack.

        >>> stack = Stack.of(dropout="all", dropout__rate=0.3)
        >>> stack.to_keywords()["dropout__rate"], Stack.of(**stack.to_keywords()) == stack
        (0.3, True)
        """
        return {key.replace(".", "__"): value for key, value in self.to_json().items()}

    def but(self, **changes: Any) -> Stack:
        """Return this stack with some axes changed (`axis__parameter` names a parameter).

        Parameters of a changed choice take their defaults unless given. A choice that a change
        excludes takes the only one that is left.
        """
        kept = {
            k: v
            for k, v in self.items
            if not any(k.startswith(axis + ".") for axis in changes if "__" not in axis)
        }
        chosen = {**kept, **changes}
        kept |= {a: only for a in CHOICE_AXES if (only := only_choice(a, chosen)) is not None}
        return _read({**kept, **_keys(changes)}, complete=False)

    @classmethod
    def of(cls, **choices: Any) -> Stack:
        """Build a stack; axes that are not given take the chapter's default.

        Args:
            **choices: `axis=choice`, and `axis__parameter=number`.

        Raises:
            RequestError: A choice is unknown, out of range, or a forbidden pairing.
        """
        return _read(_keys(choices), complete=False)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Stack:
        """Read a flat document strictly.

        Parameters of choices that were not made are dropped; only what the chapter does not have
        (`BEYOND_CHAPTER`) may be missing.

        Raises:
            RequestError: A key is unknown or missing, a value out of range, or the initializer
                does not go with the activation.
        """
        if not isinstance(document, Mapping):
            raise RequestError(f"a stack is {type(document).__name__}", "an object of its choices")
        return _read(_of_today(document), complete=True)


def _keys(choices: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("__", "."): value for key, value in choices.items()}


_DEFAULT: dict[str, Any] = {
    UNITS_AXIS: [300, 100],
    **SELF_NORMALIZING,
    "dropout": "none",
    "optimizer": "nadam",
    "schedule": "performance",
    "clipping": "none",
    "stopping": "patience",
    **{name: parameter.default for name, parameter in NUMBER_AXES.items()},
    **BEYOND_CHAPTER,
}


def _of_today(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Convert a document from before stopping was an axis to the current form.

    The old form had `patience` in epochs.
    """
    if "patience" not in document:
        return document
    kept = {key: value for key, value in document.items() if key != "patience"}
    if isinstance(epochs := kept.get("schedule.patience"), int):  # plans had 30 epochs
        kept["schedule.patience"] = min(1.0, epochs / 30)
    usual = {f"stopping.{p.name}": p.default for p in STOPPINGS["patience"].parameters}
    return {"stopping": "patience", **usual, "plan_fraction": 1.0, **kept}


def stack_keys() -> tuple[str, ...]:
    """Return every key that a stack may hold, active or not, in canonical order."""
    keys = [UNITS_AXIS]
    for axis, rows in CHOICE_AXES.items():
        keys.append(axis)
        for row in rows.values():
            keys += [k for p in row.parameters if (k := f"{axis}.{p.name}") not in keys]
    return (*keys, *NUMBER_AXES)


def _read(document: Mapping[str, Any], complete: bool) -> Stack:
    """Check a document and bring it into canonical form."""
    try:
        items = _active(document, complete)
    except RequestError:
        _check_keys(document)  # first, since a misspelt key causes a missing one
        raise
    values = dict(items)
    if not document.keys() <= values.keys():
        _check_keys(document)
    _check_rules(values)
    return Stack(tuple(items))


def _check_keys(document: Mapping[str, Any]) -> None:
    known = stack_keys()
    for key in document:
        if key not in known and not str(key).startswith(PREFIX):
            raise RequestError(f"stack key {key!r} is not known", hint=nearest(str(key), known))


def _active(document: Mapping[str, Any], complete: bool) -> list[tuple[str, Any]]:
    """Return the active items of a document in canonical order."""

    def value(key: str, default: Any) -> Any:
        if complete and key not in document and key not in BEYOND_CHAPTER:
            raise RequestError(f"a stack lacks {key!r}", "every active choice to be written out")
        return document.get(key, default)

    items: list[tuple[str, Any]] = [(UNITS_AXIS, _units(value(UNITS_AXIS, _DEFAULT[UNITS_AXIS])))]
    for axis, rows in CHOICE_AXES.items():
        row = look_up(rows, value(axis, _default(axis, document)), axis)
        items.append((axis, row.name))
        for parameter in row.parameters:
            key = f"{axis}.{parameter.name}"
            items.append((key, parameter.check(value(key, parameter.default), key)))
    for name, parameter in NUMBER_AXES.items():
        items.append((name, parameter.check(value(name, parameter.default), name)))
    own = sorted(key for key in document if str(key).startswith(PREFIX))
    return [*items, *((key, check_value(key, document[key])) for key in own)]


def _default(axis: str, document: Mapping[str, Any]) -> str:
    """Return the chapter's default with the usual initializer of the activation."""
    activation = document.get("activation")
    if axis == "initializer" and activation in ACTIVATIONS:
        return ACTIVATIONS[str(activation)].initializers[0]
    return _DEFAULT[axis]


def _units(value: Any) -> tuple[int, ...]:
    good = (
        isinstance(value, list | tuple)
        and 1 <= len(value) <= MOST_LAYERS
        and all(type(u) is int and 1 <= u <= MOST_UNITS for u in value)
    )
    if not good:
        shown = repr(value) if len(repr(value)) < 80 else f"{repr(value)[:77]}…"
        raise RequestError(
            f"units is {shown}",
            f"a list of 1 to {MOST_LAYERS} whole numbers from 1 to {MOST_UNITS}",
        )
    return tuple(value)


# Axes that other choices may leave one choice (`only_choice`), and why.
_EXCLUSIONS = {
    "decay": "the optimizer adamw has a weight_decay of its own",
    "regularizer_schedule": "the stack has neither dropout nor decay",
    "bias": "dense layers before batch normalization have no biases",
    "pretraining": "the stack has several members, or initial weights fitted to rows",
}
_NOT_REUSED = "only dense layers with an activation are reused, and nothing beside them"


def _check_rules(values: Mapping[str, Any]) -> None:
    """Reject combinations that are forbidden."""
    activation, initializer = values["activation"], values["initializer"]
    allowed = ACTIVATIONS[activation].initializers
    if initializer not in allowed:
        raise RequestError(
            f"initializer {initializer!r} with activation {activation!r}",
            "one that goes with it: " + ", ".join(allowed),
        )
    for axis, reason in _EXCLUSIONS.items():
        if (only := only_choice(axis, values)) not in (None, values[axis]):
            why = _NOT_REUSED if values[axis] == "reuse" else reason
            raise RequestError(f"{axis} is {values[axis]!r}", f"{only!r}: {why}")
    if activation == "rrelu" and values["activation.lower"] > values["activation.upper"]:
        raise RequestError("activation.lower is above activation.upper", "lower ≤ upper")
    if values["schedule"] == "piecewise" and values["schedule.first"] > values["schedule.second"]:
        raise RequestError("schedule.first is above schedule.second", "first ≤ second")
