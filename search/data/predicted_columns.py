"""Predictions as the columns of a table."""

from __future__ import annotations

import numpy as np

from trainstack.search.data.model_description import ModelDescription
from trainstack.spaces.errors import RequestError


def predicted_columns(
    outputs: np.ndarray, model: ModelDescription, coverage: float | None = None
) -> dict[str, np.ndarray]:
    """Return the columns of a model's predictions, [N] each.

    They are `prediction`, and for classes `p_CLASS`, each class's probability; for a quantity with
    a coverage `low` and `high`, the ends of its interval. With several targets each name ends in
    `_TARGET`, and `p_TARGET_VALUE` is the probability of a label's second value.

    Args:
        outputs: The model's answers: probabilities [N, K], or predictions [N, 1]; of several
            targets the probability of each label's second value, or the predictions, [N, T].
        model: The model.
        coverage: Of the intervals; None: without.

    Raises:
        RequestError: The model has no intervals.
    """
    outputs = outputs.astype(np.float64)
    if model.labels:
        return _labels(outputs, model)
    if model.classes:
        names = np.array(model.classes, object)
        chances = {f"p_{name}": outputs[:, k] for k, name in enumerate(model.classes)}
        return {"prediction": names[outputs.argmax(axis=1)], **chances}
    low = high = None
    if coverage is not None:
        check_intervals(model)
        assert model.residuals is not None
        low, high = model.residuals.interval(outputs, coverage)
    found: dict[str, np.ndarray] = {}
    for k, name in enumerate(model.targets or ("",)):
        end = f"_{name}" if name else ""
        found[f"prediction{end}"] = outputs[:, k]
        if low is not None and high is not None:
            found |= {f"low{end}": low[:, k], f"high{end}": high[:, k]}
    return found


def check_intervals(model: ModelDescription) -> None:
    """Reject a model without intervals.

    Raises:
        RequestError: It predicts classes, or its file holds no residuals.
    """
    if model.task != "regression":
        raise RequestError(
            "--interval for classes", "a target that is a quantity", "classes have probabilities"
        )
    if model.residuals is None:
        raise RequestError("--interval: the model's file holds no residuals", "one of this version")


def _labels(outputs: np.ndarray, model: ModelDescription) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name, (off, on), chance in zip(model.targets, model.labels, outputs.T, strict=True):
        found[f"prediction_{name}"] = np.where(chance > 0.5, on, off).astype(object)
        found[f"p_{name}_{on}"] = chance
    return found
