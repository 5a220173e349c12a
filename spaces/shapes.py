"""The tables of shapes: widths of the hidden layers, and skip connections.

A stack holds its widths as a list; a space draws the list by one of these shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trainstack.spaces.choices import Choice, Parameter, table

MOST_LAYERS, MOST_UNITS = 100, 65_536

_LAYERS = Parameter("layers", 2, 1, MOST_LAYERS, integer=True)
_WIDTH = Parameter("width", 100, 1, MOST_UNITS, integer=True)


@dataclass(frozen=True)
class Shape(Choice):
    """A rule for the widths of the hidden layers.

    Attributes:
        widths: Numbers → list of widths.
        numbers: List of widths → the numbers that give it, or None if the rule cannot.
    """

    widths: Callable[[Mapping[str, Any]], list[int]] = lambda p: []
    numbers: Callable[[tuple[int, ...]], dict[str, Any] | None] = lambda units: None


def halving(p: Mapping[str, Any]) -> list[int]:
    """Return widths that halve from layer to layer, at least 16 (or the first width).

    >>> halving({"layers": 3, "width": 256})
    [256, 128, 64]
    """
    least = min(16, p["width"])
    return [max(least, p["width"] >> k) for k in range(p["layers"])]


def _as_halving(units: tuple[int, ...]) -> dict[str, Any] | None:
    numbers = {"layers": len(units), "width": units[0]}
    return numbers if tuple(halving(numbers)) == units else None


SHAPES: dict[str, Shape] = table(
    Shape(
        "constant",
        "one width for all layers",
        (_LAYERS, _WIDTH),
        widths=lambda p: [p["width"]] * p["layers"],
        numbers=lambda u: {"layers": len(u), "width": u[0]} if len(set(u)) == 1 else None,
    ),
    Shape("halving", "half as wide from layer to layer", (_LAYERS, _WIDTH), halving, _as_halving),
    Shape(
        "list",
        "one of some lists of widths",
        # The one number that is a list: a space gives its choices.
        widths=lambda p: list(p["units"]),
        numbers=lambda u: {"units": u},
    ),
)

CONNECTIONS: dict[str, Choice] = table(
    Choice("plain", "each layer feeds the next"),
    Choice("residual", "each layer of the same width as the one before adds its input"),
)
