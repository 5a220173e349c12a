"""The short script beside an exported table model: raw rows in, predictions out."""

from __future__ import annotations

from typing import Any

from search.data.columns import MISSING
from workers.codeparts import BACKEND, SETTINGS
from workers.codestyle import fit, quoted

_SCRIPT = '''\
"""Predicts {what} for the rows of a table (.csv or .parquet).

    python {{this file}} rows.csv > predictions.csv

The model and its encoder stand beside this file. It needs Keras, TensorFlow, scikit-learn and
pandas.
"""

import os
import sys
from pathlib import Path

{backend}

import joblib
import keras
import numpy as np
import pandas as pd

{settings}

HERE = Path(__file__).resolve()
NAME = HERE.name.removesuffix(".predict.py")
TARGET = {target!r}
NUMERIC = {numeric!r}
TEXT = {text!r}
{classes}

def read(path):
    if str(path).endswith(".parquet"):
        return pd.read_parquet(path)
    return pd.read_csv(path, encoding="utf-8-sig", low_memory=False)


def features(frame):
    """Return what the model takes, [rows, features], of a table with the training columns."""
    frame = frame.rename(columns=str)
    labels = frame[TEXT]
    labels = labels.astype(object).where(labels.notna(), {missing!r}).map(str)
    tidy = pd.concat([frame[NUMERIC].astype("float64"), labels], axis=1)
    encoder = joblib.load(HERE.with_name(f"{{NAME}}.preprocessing.joblib"))
    return np.asarray(encoder.transform(tidy), dtype="float32")


def predict(frame):
    """Return {returns}."""
    model = keras.models.load_model(HERE.with_name(f"{{NAME}}.keras"))
    outputs = model.predict(features(frame), batch_size=1024, verbose=0)
{body}


if __name__ == "__main__":
    predict(read(sys.argv[1])).to_csv(sys.stdout, index=False)
'''

_CLASSIFY = """\
    best = [CLASSES[k] for k in outputs.argmax(axis=1)]
    chances = {f"p({name})": outputs[:, k] for k, name in enumerate(CLASSES)}
    return pd.DataFrame({TARGET: best, **chances})"""

_REGRESS = "    return pd.DataFrame({TARGET: outputs[:, 0]})"


def predict_script(dataset: Any) -> str:
    """Write the script that applies a table's preprocessing and the saved model.

    Args:
        dataset: The loaded table.

    Returns:
        A program that needs Keras, TensorFlow, scikit-learn and pandas alone, and looks for
        `NAME.keras` and `NAME.preprocessing.joblib` beside itself, where it is `NAME.predict.py`.
    """
    classification = dataset.task == "classification"
    text = _SCRIPT.format(
        backend=BACKEND,
        settings=SETTINGS,
        what="the class" if classification else "the target",
        target=dataset.target,
        numeric=list(dataset.numeric),
        text=list(dataset.text),
        classes=f"CLASSES = {list(dataset.classes)!r}\n" if classification else "",
        missing=MISSING,
        returns="the class and each class's probability, a row each"
        if classification
        else "the prediction in the target's unit, a row each",
        body=_CLASSIFY if classification else _REGRESS,
    )
    lines = text.replace("{this file}", "model.predict.py").splitlines()
    return "\n".join(part for line in lines for part in fit(quoted(line))) + "\n"
