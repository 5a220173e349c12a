"""Models exported without a study: a given function of the encoded features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from trainstack.search.data.load import load
from trainstack.search.data.model_description import ModelDescription
from trainstack.search.metrics.conformal import Residuals


def exported(folder: Path, data: str, target: str | None, **options: Any) -> Path:
    """Export a linear model with random weights, as `export` writes it; return its file.

    Args:
        folder: Where the file is written.
        data: The data.
        target: Its target.
        options: More arguments of `load`.
    """
    import keras

    from trainstack.workers.export.columns import from_columns, levels_of

    dataset = load(data, target, **options)
    split = dataset.split(0)
    shape = (split.x_train.shape[1],) if dataset.is_table else dataset.image_shape
    inputs = keras.Input(shape or (dataset.features,), dtype="float32")
    keras.utils.set_random_seed(0)
    outputs = keras.layers.Flatten()(inputs)
    scaled = keras.layers.Normalization(mean=split.x_train.mean(0), variance=split.x_train.var(0))
    outputs = scaled(outputs)
    width = len(dataset.classes) or len(dataset.targets) or 1
    activation = {"classification": "softmax", "multilabel": "sigmoid"}.get(dataset.task)
    model = keras.Model(inputs, keras.layers.Dense(width, activation=activation)(outputs))
    levels: dict[str, list[str]] = {}
    residuals = None
    if dataset.task == "regression":
        predicted = np.asarray(model(split.x_valid.reshape(-1, *model.input_shape[1:])))
        residuals = Residuals.of(split.y_valid, predicted.reshape(split.y_valid.shape))
    if dataset.is_table:
        levels = levels_of(dataset, split.encoder)
        model = from_columns(model, dataset, split.encoder)
    path = folder / "model.keras"
    model.save(path)
    ModelDescription.of(dataset, "made up", "", levels, residuals).write_into(path)
    return path
