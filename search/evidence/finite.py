"""Treatment of non-finite figures: they count as missing, with a warning.

A loss may overflow or a clock fail, and the database stores null for non-finite numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainstack.search.records import Outcome, Run

# Parts of a measurement that may be null because they do not apply.
_OPTIONAL = ("left_out", "seconds", "ci95")
# Outcomes whose figures should be finite, unlike those of diverged runs.
_WHOLE = (Outcome.COMPLETED, Outcome.PRUNED)


def finite(values: Iterable[float | None]) -> list[float]:
    """Return the values that are present and finite."""
    return [float(v) for v in values if v is not None and math.isfinite(v)]


def figure(of: Mapping[str, float], name: str) -> float | None:
    """Return a named figure of a run; None if missing or not finite."""
    value = of.get(name)
    return value if value is not None and math.isfinite(value) else None


def non_finite_warning(runs: Sequence[Run]) -> list[str]:
    """Return a warning with the number of runs with a non-finite figure, if any."""
    n = sum(run.outcome in _WHOLE and not _whole(run) for run in runs)
    if not n:
        return []
    what = "run has" if n == 1 else "runs have"
    return [f"{n} {what} a figure that is not finite, and count as without that figure."]


def _whole(run: Run) -> bool:
    figures = (run.metrics, run.seconds, run.curve, run.train_curve)
    value = run.value is None or math.isfinite(run.value)
    return value and all(map(_finite, figures)) and _finite(run.layers, missing=True)


def without_non_finite(found: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a measurement without non-finite figures, and the names of the figures left out.

    Numbers become None. A list is left out as a whole, since its mean would not be finite and its
    rows (passes, shares of weights) are compared with one another; rows of deployed models are left
    out singly.
    """
    lost: list[str] = []
    plain: dict[str, Any] = {}
    for role, part in found.items():
        if not isinstance(part, Mapping):
            plain[role] = part
            continue
        plain[role] = {name: _tidy(value, name) for name, value in part.items()}
        lost += [n for n, v in part.items() if n not in lost and not _finite(v, n)]
    return plain, lost


def left_out_warning(lost: list[str]) -> list[str]:
    """Return a warning that names the figures left out of a measurement, if any."""
    names = ", ".join(name.replace("_", " ") for name in lost)
    return [f"Measured, but not finite, and left out: {names}."] if lost else []


def _finite(value: Any, name: str = "", missing: bool = False) -> bool:
    """Return whether every number is finite and, unless `missing`, present."""
    if value is None:
        return missing or name in _OPTIONAL
    if isinstance(value, Mapping):
        return all(_finite(v, k, missing) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(_finite(v, missing=missing) for v in value)
    return not isinstance(value, float) or math.isfinite(value)


def _tidy(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        if "mean" in value and not _finite(value):
            return {"mean": None, "ci95": None, "n": 0}
        return {k: _tidy(v, k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        if name == "deployed":
            return [
                row if _finite(row) else {"precision": row["precision"], "cause": "not finite"}
                for row in value
            ]
        return value if _finite(value) else []
    return value if _finite(value) else None
