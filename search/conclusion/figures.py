"""Figures of a model beside the recommended stack: read from a measurement, and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping

from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.estimates import Figures
from trainstack.search.evidence.formatting import number

# Smaller differences of figures are due to rounding.
SAME = 1e-9


def figures_of(found: Mapping[str, float | None] | None, metric: str) -> Figures:
    """Return the figures of a part of a measurement, nan where not measured.

    Args:
        found: Name → value; None: nothing was measured.
        metric: `accuracy` or `rmse`.
    """
    named = {what: or_nan((found or {}).get(what)) for what in ("loss", metric)}
    every = {name: or_nan(v) for name, v in (found or {}).items() if name != "loss"}
    return Figures(**named, metrics=every if len(every) > 1 else None)


def or_nan(value: float | None) -> float:
    """Return a value, nan for None."""
    return math.nan if value is None else value


def figures_line(validation: Figures, test: Figures, deciding: Deciding) -> str:
    """Return `validation loss 2.3, accuracy 0.1; test loss 2.3, accuracy 0.1`.

    A part that was not measured is left out.
    """
    return "; ".join(
        f"{part} " + ", ".join(f"{name} {number(figures.figure(name))}" for name in deciding.shown)
        for part, figures in (("validation", validation), ("test", test))
        if not math.isnan(figures.loss)
    )
