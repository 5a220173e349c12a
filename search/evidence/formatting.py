"""Stacks, numbers and intervals in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from trainstack.search.evidence.estimates import Estimate
from trainstack.spaces.own_numbers import PREFIX
from trainstack.spaces.stack import Stack

# Names of choices in sentences, if different from the identifier.
_NAMES = {
    "selu": "SELU",
    "elu": "ELU",
    "relu": "ReLU",
    "leaky_relu": "leaky ReLU",
    "rrelu": "RReLU",
    "prelu": "PReLU",
    "gelu": "GELU",
    "swish": "Swish",
    "mish": "Mish",
    "sigmoid": "logistic",
    "sgd": "SGD",
    "momentum": "SGD with momentum",
    "nesterov": "Nesterov",
    "adagrad": "AdaGrad",
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "adamax": "Adamax",
    "nadam": "Nadam",
    "adamw": "AdamW",
    "ftrl": "FTRL",
}
_NORMALIZATIONS = {
    "before": "batch normalization before the activation",
    "after": "batch normalization after the activation",
}
_PLACES = {"last": " after the last hidden layer", "hidden": " after the hidden layers"}
_WORDS = {
    ("preparation", "robust_clip"): "inputs scaled by quartiles and clipped",
    ("preparation", "quantile"): "inputs by their quantiles",
    ("preparation", "unit"): "inputs from 0 to 1",
    ("embedding", "periodic"): "periodic embeddings of the numbers",
    ("embedding", "piecewise"): "piecewise linear embeddings of the numbers",
    ("categories", "embedded"): "learned embeddings of the categories",
    ("input_scale", "learned"): "a learned scale of the inputs",
    ("parametrization", "ntk"): "NTK parametrization",
    ("head", "zeros"): "a last layer that starts at 0",
    ("bias", "normal"): "normal biases",
    ("bias", "data"): "biases from the data",
    ("calibration", "weights"): "calibrated weights",
    ("pretraining", "autoencoder"): "lower layers of an autoencoder",
    ("pretraining", "auxiliary"): "lower layers of an auxiliary task",
    ("pretraining", "reuse"): "lower layers of a saved model",
}
_SCHEDULES = {"constant": "a constant rate", "power": "a power schedule"}


def describe(stack: Stack, network: str = "") -> str:
    """Describe a stack in words, without the choices that are off.

    Args:
        stack: The stack.
        network: Name of the user's own network that it is put into, which has no widths.

    >>> describe(Stack.of())
    '300-100 SELU (LeCun normal), Nadam at 0.001 with performance scheduling, batches of 32'
    >>> describe(Stack.of(network__filters=8), "net.py:build").partition(",")[0]
    'net.py:build (filters 8) with SELU (LeCun normal)'
    """
    own = " with" if network or _own_numbers(stack) else ""
    parts = [f"{layers(stack, network)}{own} {name(stack['activation'])} ({_initializer(stack)})"]
    if stack["connection"] != "plain":
        parts.append(f"{stack['connection']} connections")
    if stack["normalization"] != "none":
        parts.append(_NORMALIZATIONS[stack["normalization"]])
    if stack["input_normalization"] != "none":
        parts.append("batch normalization of the inputs")
    parts += [words for key, words in _WORDS.items() if key in stack.items]
    if stack["dropout"] != "none":
        kind = "alpha dropout" if stack.drops_alpha else "dropout"
        where = _PLACES.get(stack["dropout"], "")
        parts.append(f"{kind} {number(stack['dropout.rate'])}{where}")
    if stack["penalty"] != "none":
        of = stack.numbers("penalty")
        parts.append(" and ".join(f"{k.upper()} {number(v)}" for k, v in of.items()))
    if stack["max_norm"] != "none":
        parts.append(f"max-norm {number(stack['max_norm.radius'])}")
    rate = number(stack["optimizer.learning_rate"])
    parts.append(f"{name(stack['optimizer'])} at {rate} with {_schedule(stack['schedule'])}")
    parts += [f"biases at {number(k)} of it" for k in [stack["bias_rate"]] if k != 1.0]
    if stack["decay"] != "none":
        parts.append(f"weight decay {number(stack['decay.weight_decay'])}")
    if stack["regularizer_schedule"] != "constant":
        parts.append("regularizers that fall to zero")
    if stack["averaging"] == "exponential":
        parts.append(f"a moving average of the weights ({number(stack['averaging.decay'], 4)})")
    elif stack["averaging"] == "last":
        parts.append(f"the mean weights of the last {stack['averaging.share']:.0%} of the epochs")
    count = stack.get("members.count", 1)
    shared = "the hidden layers" if stack["members"] == "shared" else "nothing"
    parts += [f"{count} members that share {shared}"] * (count > 1)
    if stack["label_smoothing"]:
        parts.append(f"label smoothing {number(stack['label_smoothing'])}")
    if stack["clipping"] != "none":
        parts.append(f"gradients clipped by {stack['clipping']} {number(stack['clipping.limit'])}")
    parts.append(f"batches of {stack['batch_size']}")
    return ", ".join(parts)


def layers(stack: Stack, network: str = "") -> str:
    """Return the widths, or the name of a user's own network with its numbers.

    >>> layers(Stack.of(network__filters=8, network__rate=0.25), "net.py:build")
    'net.py:build (filters 8, rate 0.25)'
    """
    numbers = _own_numbers(stack)
    if not network and not numbers:
        return shape(stack.units)
    shown = ", ".join(
        f"{key} {number(v) if isinstance(v, float) else v}" for key, v in numbers.items()
    )
    return f"{network or 'own network'}{f' ({shown})' if shown else ''}"


def _own_numbers(stack: Stack) -> dict[str, Any]:
    return {k.removeprefix(PREFIX): v for k, v in stack.items if k.startswith(PREFIX)}


def shape(units: Sequence[int]) -> str:
    """Return widths in short notation.

    >>> shape((300, 100)), shape((64, 64, 64, 64))
    ('300-100', '4×64')
    """
    if len(units) > 2 and len(set(units)) == 1:
        return f"{len(units)}×{units[0]}"
    return "-".join(str(u) for u in units)


def name(choice: Any) -> str:
    """Return a choice's name for a sentence; widths as `shape` does."""
    if isinstance(choice, list | tuple):
        return shape(choice)
    return _NAMES.get(choice, str(choice).replace("_", " "))


def number(value: float | None, digits: int = 3) -> str:
    """Format a number with few digits; a dash if it is missing or not finite.

    >>> number(0.00123456), number(1234.5), number(None)
    ('0.00123', '1234', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 1000 and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def signed(value: float | None, digits: int = 3) -> str:
    """Format a number with its sign, using a true minus."""
    if value is None or not math.isfinite(value):
        return "–"
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return sign + number(abs(value), digits)


def interval(ends: Sequence[float] | None, write: Any = number) -> str:
    """Return `low to high`, or a dash without an interval."""
    return "–" if ends is None else f"{write(ends[0])} to {write(ends[1])}"


def seeds(n: int) -> str:
    """Return `1 seed`, `5 seeds`."""
    return f"{n} seed" if n == 1 else f"{n} seeds"


def _initializer(stack: Stack) -> str:
    family, _, form = stack["initializer"].partition("_")
    spelt = {"lecun": "LeCun", "he": "He", "glorot": "Glorot"}.get(family, family)
    return f"{spelt} {form}".strip()


def _schedule(choice: str) -> str:
    return _SCHEDULES.get(choice, f"{choice} scheduling")


def about(score: Estimate, digits: int = 3) -> str:
    """Return a score with its interval; both ends if it is asymmetric after clipping.

    >>> about(Estimate(0.95, (0.93, 0.97))), about(Estimate(0.99, (0.96, 1.0)))
    ('0.95 ± 0.02', '0.99 (0.96 to 1)')
    >>> about(Estimate(0.95, (0.95 - 1e-16, 0.95 + 1e-16)))
    '0.95 ± 0'
    """
    mean, ends = score.mean, score.ci95
    if not ends:
        return number(mean, digits)
    below, above = mean - ends[0], ends[1] - mean
    if math.isclose(below, above, rel_tol=1e-6, abs_tol=1e-12):
        return f"{number(mean, digits)} ± {number(above if above > 1e-12 else 0.0, 2)}"
    return f"{number(mean, digits)} ({interval(ends)})"
