"""The rows of the table of JSON documents, and rows that several documents share."""

from __future__ import annotations

from dataclasses import dataclass

from trainstack.search.claims.figures import FIGURES

# Suffix of a kind whose value may be null.
OR_NULL = " or null"
TEXT, WHOLE, NUMBER, FLAG = "text", "whole number", "number", "true or false"
# The table has a row for every field of these.
OBJECT, LIST = "object", "list"
# Their keys or values are described elsewhere or vary, so they have no rows below them.
STACK, NUMBERS, ANY = "stack", "numbers by name", "any"
OPEN = (STACK, NUMBERS, ANY)


@dataclass(frozen=True)
class Field:
    """A value in a document.

    Attributes:
        path: Path of the value, such as `workers[].id`.
        kind: One of the kinds above, with OR_NULL if it may be null.
        about: Description, with the unit.
        sometimes: True if the key itself may be missing.
    """

    path: str
    kind: str
    about: str
    sometimes: bool = False


@dataclass(frozen=True)
class Document:
    """A document that verbs print.

    Attributes:
        verbs: Verbs that print it, named as in the command's registry.
        about: Description in one line.
        fields: Fields of the document.
    """

    verbs: tuple[str, ...]
    about: str
    fields: tuple[Field, ...]


def scores(path: str, about: str) -> tuple[Field, ...]:
    """Return the rows of a loss and a metric, each a mean with its interval."""
    rows = [Field(path, OBJECT, about)]
    for what, meaning in (
        ("loss", "cross-entropy in nats, or the squared error of the standardised target"),
        ("accuracy", "share of right classes, in classification"),
        ("rmse", "root mean squared error in the target's unit, in regression"),
    ):
        at = f"{path}.{what}"
        rows += [
            Field(at, OBJECT, meaning, sometimes=what != "loss"),
            Field(f"{at}.mean", NUMBER + OR_NULL, "mean over the seeds"),
            Field(f"{at}.ci95", LIST + OR_NULL, "95 % interval: low, high; null with one seed"),
            Field(f"{at}.ci95[]", NUMBER, ""),
            Field(f"{at}.n", WHOLE, "number of seeds"),
        ]
    return tuple(rows)


def contrast(path: str, about: str) -> tuple[Field, ...]:
    """Return the rows of a paired difference."""
    return (
        Field(path, OBJECT, about),
        Field(f"{path}.metric", TEXT, "`loss`"),
        Field(f"{path}.mean", NUMBER + OR_NULL, "mean difference; below 0: lower loss"),
        Field(f"{path}.ci95", LIST + OR_NULL, "its 95 % interval, for all comparisons together"),
        Field(f"{path}.ci95[]", NUMBER, ""),
        Field(f"{path}.n_pairs", WHOLE, "pairs of runs with one seed"),
    )


def figures(path: str, about: str) -> tuple[Field, ...]:
    """Return the rows of a loss and a metric, each a single number."""
    return (
        Field(path, OBJECT, about),
        Field(f"{path}.loss", NUMBER + OR_NULL, "as the stack's; null: not measured"),
        Field(f"{path}.accuracy", NUMBER + OR_NULL, "in classification", sometimes=True),
        Field(f"{path}.rmse", NUMBER + OR_NULL, "in regression", sometimes=True),
    )


def trivial(path: str, about: str) -> tuple[Field, ...]:
    """Return the rows of the trivial predictor, compared with a stack."""
    rows = [Field(path, OBJECT, about)]
    rows += figures(f"{path}.validation", "means over the confirmation's splits")
    rows += figures(f"{path}.test", "the same on the test rows")
    rows.append(Field(f"{path}.difference", OBJECT, "the stack's test figures minus these"))
    for what in ("loss", "accuracy"):
        at = f"{path}.difference.{what}"
        rows += [
            Field(at, OBJECT, "means over the seeds, row by row", sometimes=what != "loss"),
            Field(f"{at}.mean", NUMBER + OR_NULL, "loss below 0: the stack is better"),
            Field(f"{at}.ci95", LIST + OR_NULL, "its 95 % interval over the test rows"),
            Field(f"{at}.ci95[]", NUMBER, ""),
            Field(f"{at}.n", WHOLE, "number of test rows"),
        ]
    return tuple(rows)


def yardstick(path: str) -> tuple[Field, ...]:
    """Return the rows of the yardstick, a standard model of another kind."""
    word = "`better`, `level` or `worse` than the stack's interval on the test rows"
    return (
        Field(path, OBJECT, "scikit-learn's gradient boosting on the same rows"),
        Field(f"{path}.model", TEXT + OR_NULL, "its class; null: not requested or not trained"),
        Field(f"{path}.left_out", TEXT + OR_NULL, "reason why it was not trained"),
        Field(f"{path}.seconds", NUMBER + OR_NULL, "training time"),
        *figures(f"{path}.validation", "on the split of the confirmation's first seed"),
        *figures(f"{path}.test", "on the test rows"),
        Field(f"{path}.against", OBJECT, "how it compares with the recommended stack"),
        Field(f"{path}.against.loss", TEXT + OR_NULL, word),
        Field(f"{path}.against.accuracy", TEXT + OR_NULL, "the same", sometimes=True),
        Field(f"{path}.against.rmse", TEXT + OR_NULL, "the same", sometimes=True),
    )


def measured(path: str, about: str) -> tuple[Field, ...]:
    """Return the rows of a stack's measurements other than its scores."""
    return (
        Field(path, OBJECT, about),
        Field(f"{path}.latency_ms", NUMBER + OR_NULL, "the exported model's time for one row"),
        Field(f"{path}.latency_ms_64", NUMBER, "the same for 64 rows", sometimes=True),
        Field(f"{path}.parameters", WHOLE + OR_NULL, "weights of the network"),
        Field(f"{path}.nonzero_fraction", NUMBER + OR_NULL, "share of kernel weights not zero"),
        Field(f"{path}.log_loss", NUMBER + OR_NULL, "test log loss; null in regression"),
        Field(f"{path}.ece", NUMBER + OR_NULL, "test calibration error; null in regression"),
        Field(f"{path}.brier", NUMBER + OR_NULL, "test Brier score; null in regression"),
        Field(f"{path}.monte_carlo", ANY, "test figures by passes, with dropout", sometimes=True),
        Field(f"{path}.monte_carlo_seeds", ANY, "the same for each seed", sometimes=True),
        Field(f"{path}.sparsity", ANY, "cost of dropping small weights, with L1", sometimes=True),
        Field(f"{path}.sparsity_test_loss", NUMBER, "test loss after that", sometimes=True),
        Field(f"{path}.deployed", ANY, "TensorFlow Lite, profile low-latency", sometimes=True),
    )


def judgement(path: str) -> tuple[Field, ...]:
    """Return the rows of the result for a claim, or for one of its comparisons."""
    figures = ", ".join(f"`{name}`" for name in FIGURES)
    return (
        Field(f"{path}.word", TEXT, "`supported`, `contradicted`, `equivalent` or `no evidence`"),
        Field(f"{path}.effect", NUMBER + OR_NULL, "the figure's difference; below 0: in favour"),
        Field(f"{path}.ci95", LIST + OR_NULL, "its interval, for all claims together"),
        Field(f"{path}.ci95[]", NUMBER, ""),
        Field(f"{path}.n_pairs", WHOLE, ""),
        Field(f"{path}.reason", TEXT, "the comparison, or what is needed to decide"),
        Field(f"{path}.figure", TEXT, f"figure compared: {figures}"),
    )
