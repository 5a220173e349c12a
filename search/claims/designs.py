"""Building blocks of the table of claims: base networks and standard comparisons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trainstack.search.claims.types import Contrast
from trainstack.search.conditions import PLAIN, Condition
from trainstack.search.evidence.formatting import name
from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.axes import SELF_NORMALIZING
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES
from trainstack.spaces.stack import Stack


def breaks_self_normalization(stack: Stack, voids: str) -> bool:
    """Tell whether a stack would not self-normalize whatever its activation.

    Args:
        stack: The stack.
        voids: What in a user's own network voids self-normalization; empty: nothing does.
    """
    rest = SELF_NORMALIZING.keys() - {"activation", "initializer"}
    return bool(voids) or any(stack[axis] != SELF_NORMALIZING[axis] for axis in rest)


def self_normalizing_but_for_regularizers(stack: Stack, voids: str) -> bool:
    """Tell whether a stack self-normalizes, or would without its penalty or max-norm."""
    return not voids and stack.but(penalty="none", max_norm="none").self_normalizing


def in_a_chain(stack: Stack, voids: str) -> bool:
    """Tell whether a stack's network is a chain of dense layers, which can self-normalize."""
    return not voids


def broken(name: str, **change: str) -> Contrast:
    """Compare the self-normalizing bundle with itself, one of its conditions broken."""
    other = {**SELF_NORMALIZING, **change}
    return Contrast(SELF_NORMALIZING, other, "drift", names=("the bundle", f"one with {name}"))


def condition_broken(name: str, condition: Condition) -> Contrast:
    """Compare the bundle with itself under a condition that a stack cannot express."""
    return Contrast({}, {}, "drift", names=("the bundle", name), under=(PLAIN, condition))


def wrong_initializers(activation: str, wrong: str, layers: int) -> tuple[Contrast, Contrast]:
    """Compare an activation's own initializer with an unsuitable one, in deep networks.

    Returns:
        The comparison, and its excess over the same comparison in two layers.
    """
    right = ACTIVATIONS[activation].initializers[0]
    families = [name.partition("_")[0] for name in (right, wrong)]
    titles = [{"lecun": "LeCun"}.get(family, family.title()) for family in families]

    def compared(layers: int, beyond: Contrast | None = None) -> Contrast:
        choices = {"units": (64,) * layers, "activation": activation, "initializer": right}
        names = f"{titles[0]} in {layers} {name(activation)} layers", f"{titles[1]} in {layers}"
        under = PLAIN, Condition(initializer=wrong)
        return Contrast(choices, choices, names=names, under=under, beyond=beyond)

    return compared(layers), compared(layers, beyond=compared(2))


def reused(pretrained: str, labels: int, classes: str = "all") -> Contrast:
    """Compare reused lower layers with fresh weights, both with few labels."""
    fresh = Condition(labels=labels, classes=classes)
    reused = replace(fresh, pretrained=pretrained)
    names = reused.description.rpartition(", ")[2], f"fresh weights, {labels} labels"
    return Contrast({}, {}, names=names, under=(reused, fresh))


def alpha_dropout(name: str, **other: str) -> Contrast:
    """Compare alpha dropout with another regularizer in its place."""
    none = {"dropout": "none", "penalty": "none", "max_norm": "none"}
    first = {**none, "dropout": "last", "dropout__rate": 0.1}
    return Contrast(first, {**none, **other}, names=("alpha dropout", name))


def against_reference(name: str) -> Contrast:
    """Claim that the chapter's default is at least as good as a reference stack."""
    default, other = dict(CHAPTER_DEFAULT.items), dict(REFERENCES[name].items)
    second = {k.replace(".", "__"): v for k, v in other.items() if default.get(k) != v}
    first = {axis: default[axis] for axis in second if "__" not in axis}
    return Contrast(first, second, at_least=True, names=("the default", name))


# Base networks of experiments. In ten layers gradients can vanish and explode.
RELU = CHAPTER_DEFAULT.but(activation="relu", initializer="he_normal")
DEEP = CHAPTER_DEFAULT.but(units=[64] * 10)
DEEP_RELU = RELU.but(units=[64] * 10)
RESIDUAL = RELU.but(units=[100] * 3, connection="residual")
# With few labels, small batches give enough steps.
SMALL_BATCHES = CHAPTER_DEFAULT.but(units=[100] * 3, batch_size=10)
ONLY_CLAIMS = "runs that no search makes: `trainstack claims` makes them"

SPARSE: dict[str, Any] = {"optimizer": "nadam", "penalty": "l1", "penalty__l1": 1e-4}
SPARSER: dict[str, Any] = {
    **{"optimizer": "ftrl", "optimizer__l1_regularization_strength": 1e-3},
    "penalty": "none",
}
NO_PENALTY: dict[str, Any] = {"optimizer": "nadam", "penalty": "none"}
