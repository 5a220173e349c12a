"""Values and calls as source text of exported programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainstack.spaces.choices import Call
from trainstack.spaces.initializers import INITIALIZERS


def keywords(arguments: Mapping[str, Any]) -> str:
    """Return the keyword arguments of a call.

    >>> keywords({"units": 8, "kernel_initializer": INITIALIZERS["he_normal"].call})
    "units=8, kernel_initializer='he_normal'"
    """
    return ", ".join(f"{name}={_expression(value)}" for name, value in arguments.items())


def _expression(value: Any) -> str:
    if not isinstance(value, Call):
        return repr(value)
    for name, row in INITIALIZERS.items():
        if row.call == value:
            return repr(name)
    return f"keras.{value.path}({keywords(value.arguments)})"
