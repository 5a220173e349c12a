"""A metric of the user's own: a function in a Python file, `--metric FILE.py:FUNCTION`.

The file's text is part of the study's spec, so every worker has it, and a resumed study is asked
the same question. The function takes the true values, the predictions and the weights:

- labels (int [N], 0 to K-1 in the order of the classes) and probabilities [N, K], or numbers [N]
  and predicted numbers [N] in the target's unit; weights [N], all 1 if the rows have none.

It returns a number. Lower is better unless the function has the attribute
`direction = "maximize"`. A metric that rises is minimized as 1 - metric.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.search.user_code import raised, read_code, run_code
from trainstack.spaces.errors import RequestError, nearest

if TYPE_CHECKING:
    from trainstack.search.metrics.table import Metric

# Names that a figure of the product has already.
_TAKEN = ("loss", "parameters", "latency_ms", "nonzero_fraction")


@dataclass(frozen=True)
class OwnMetric:
    """A metric in a user's file.

    Attributes:
        file: Name of the file.
        function: Name of the function.
        direction: `minimize` or `maximize`.
        code: Text of the file.
    """

    file: str
    function: str
    direction: str
    code: str

    @cached_property
    def _called(self) -> Callable[..., Any]:
        return _function(self.file, self.function, self.code)

    def value(self, y: Any, p: Any, w: Any) -> float:
        """Return the metric of targets, predictions and weights, each copied.

        Raises:
            RequestError: The function raises, or returns no finite number; with its line.
        """
        import numpy as np

        called = self._called
        try:
            found = called(np.array(y), np.array(p), np.array(w))
        except (Exception, SystemExit) as error:
            raise raised("--metric", self.file, self.function, error) from None
        try:
            number = math.nan if isinstance(found, str | bytes) else float(found)
        except Exception:  # a user's object can raise anything
            number = math.nan
        if not math.isfinite(number):
            shown = " ".join(repr(found).split())[:60]
            line = called.__code__.co_firstlineno
            raise RequestError(
                f"--metric: {self.function} ({self.file}, line {line}) returned {shown}",
                "a finite number",
            )
        return number

    def metric(self, task: str) -> Metric:
        """Return it as a metric of a task."""
        from trainstack.search.metrics.table import Metric

        about = f"{self.function} in {self.file}"
        return Metric(
            self.function, about, self.direction, task, self.value, own=True, low=-math.inf
        )


def read_own(text: str, known: tuple[str, ...] = ()) -> OwnMetric | None:
    """Read `FILE.py:FUNCTION`; return None for a text that is not of this form.

    Args:
        text: The value of `--metric`.
        known: Names of the product's metrics, which the function must not have.

    Raises:
        RequestError: There is no such file or function, or it cannot be used.
    """
    place, colon, name = text.rpartition(":")
    if not colon or not place.endswith(".py"):
        if text.endswith(".py"):
            raise RequestError(f"--metric {text}", "FILE.py:FUNCTION", "name the function")
        return None
    path, code = Path(place), read_code("--metric", place)
    if name in (*known, *_TAKEN):
        raise RequestError(f"--metric: {name} is a figure of its own", "another name of a function")
    function = _function(path.name, name, code)
    direction = getattr(function, "direction", "minimize")
    if direction not in ("minimize", "maximize"):
        raise RequestError(
            f"--metric: {name}.direction in {path.name} is {direction!r}",
            '"minimize" or "maximize"',
        )
    return OwnMetric(path.name, name, direction, code)


def _function(file: str, name: str, code: str) -> Callable[..., Any]:
    """Run a file's text and return its function."""
    module = run_code("--metric", file, code)
    functions = [k for k, v in vars(module).items() if inspect.isfunction(v)]
    if name not in functions:
        raise RequestError(
            f"--metric: {file} has no function {name}", hint=nearest(name, functions)
        )
    return vars(module)[name]
