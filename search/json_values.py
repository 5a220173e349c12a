"""Values as strict JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def json_safe(value: Any) -> Any:
    """Return a value in JSON's types: numbers that are not finite become None.

    NumPy arrays and scalars become lists and numbers, tuples lists, and keys texts.

    >>> json_safe({"loss": float("nan"), 1: (0.5,)})
    {'loss': None, '1': [0.5]}
    """
    if isinstance(value, Mapping):
        return {str(k): json_safe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(v) for v in value]
    if hasattr(value, "tolist"):
        return json_safe(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
