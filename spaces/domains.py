"""The domains of a space's numbers: a fixed value, a range, or a list of choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainstack.spaces.choices import Parameter
from trainstack.spaces.errors import RequestError


@dataclass(frozen=True)
class Fixed:
    """A fixed value."""

    value: Any

    @property
    def least(self) -> Any:
        """The value."""
        return self.value

    def ask(self, trial: Any, name: str) -> Any:
        """Return the value without asking the trial."""
        return self.value

    def holds(self, value: Any) -> bool:
        """Return whether `value` is the fixed value."""
        return value == self.value

    def to_json(self) -> Any:
        """Return the value."""
        return list(self.value) if isinstance(self.value, tuple) else self.value


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, on a log scale if `log` is true."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    @property
    def least(self) -> float:
        """The least number."""
        return self.low

    def ask(self, trial: Any, name: str) -> Any:
        """Ask the trial for a number of the range."""
        suggest = trial.suggest_int if self.integer else trial.suggest_float
        return suggest(name, self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Return whether `value` is a number within the range."""
        return self.low <= value <= self.high

    def to_json(self) -> dict[str, Any]:
        """Return `{"low", "high"}`, with `"log": true` where the scale is logarithmic."""
        return {"low": self.low, "high": self.high, **({"log": True} if self.log else {})}


@dataclass(frozen=True)
class Choices:
    """One of several values; lists are stored as tuples."""

    values: tuple[Any, ...]

    @property
    def least(self) -> Any:
        """The least value."""
        return min(self.values)

    def ask(self, trial: Any, name: str) -> Any:
        """Ask the trial for one of the values (lists are offered as text, e.g. `300-100`)."""
        labels = {_label(v): v for v in self.values}
        return labels[trial.suggest_categorical(name, tuple(labels))]

    def holds(self, value: Any) -> bool:
        """Return whether `value` is one of the values."""
        return (tuple(value) if isinstance(value, list) else value) in self.values

    def to_json(self) -> dict[str, Any]:
        """Return `{"choices": […]}`."""
        return {"choices": [list(v) if isinstance(v, tuple) else v for v in self.values]}


Domain = Fixed | Range | Choices


def _label(value: Any) -> Any:
    return "-".join(map(str, value)) if isinstance(value, tuple) else value


def asked(domain: Domain, value: Any) -> Any:
    """Return `value` as Optuna stores it: lists as text such as `300-100`."""
    return _label(tuple(value)) if isinstance(value, list | tuple) else value


def read_domain(document: Any, parameter: Parameter, path: str) -> Domain:
    """Read a number's domain strictly.

    Args:
        document: A number, `{"low", "high", "log"?}`, or `{"choices": […]}`.
        parameter: The parameter, whose hard range the domain must respect.
        path: Path in the document, for messages.

    Raises:
        RequestError: A key is unknown, the range is empty or reversed, or a value is out of the
            hard range.
    """
    if not isinstance(document, Mapping):
        return Fixed(parameter.check(document, path))
    keys = set(document)
    if keys == {"choices"}:
        values = document["choices"]
        if not isinstance(values, list) or not values:
            raise RequestError(f"{path}.choices is {values!r}", "a list with at least one value")
        checked = tuple(parameter.check(v, f"{path}.choices[{k}]") for k, v in enumerate(values))
        if len(set(checked)) < len(checked):
            raise RequestError(f"{path}.choices is {values!r}", "no value twice")
        return Fixed(checked[0]) if len(checked) == 1 else Choices(checked)
    if not {"low", "high"} <= keys or not keys <= {"low", "high", "log"}:
        raise RequestError(
            f"{path} has the keys {sorted(keys)}", "a number, low with high (and log), or choices"
        )
    low = parameter.check(document["low"], f"{path}.low")
    high = parameter.check(document["high"], f"{path}.high")
    log = document.get("log", False)
    if not isinstance(log, bool):
        raise RequestError(f"{path}.log is {log!r}", "true or false")
    if low >= high:
        raise RequestError(f"{path} goes from {low:g} to {high:g}", "low < high")
    if log and low <= 0:
        raise RequestError(f"{path}.low is {low:g} on a log scale", "low > 0")
    return Range(low, high, log, parameter.integer)
