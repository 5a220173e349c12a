"""The script beside an exported table model, which predicts from raw rows."""

from __future__ import annotations

from typing import Any

from trainstack.search.data.columns import MISSING, as_text
from trainstack.search.data.text_encoding import encoding_of
from trainstack.search.data.text_values import bare, moment, number_pattern, since, to_number
from trainstack.workers.export.rendering import render


def predict_script(dataset: Any) -> str:
    """Write the script that applies a table's preprocessing and the saved model.

    Args:
        dataset: The loaded table.

    Returns:
        A program `NAME.predict.py` that needs only Keras, TensorFlow, scikit-learn and pandas, and
        looks for `NAME.keras` and `NAME.preprocessing.joblib` beside itself. It reads columns in
        the formats of `dataset`. If a file cannot be read so, it prints one line on standard error
        and exits with 2.
    """
    spelt = {name: spelling.arguments() for name, spelling in dataset.spellings.items()}
    return render(
        "predict.py.jinja",
        target=dataset.target,
        targets=list(dataset.targets),
        labels=[list(pair) for pair in dataset.labels],
        numeric=list(dataset.numeric),
        text=list(dataset.text),
        spelt={name: options for name, options in spelt.items() if options},
        origins=dict(dataset.origins),
        missing=MISSING,
        classes=list(dataset.classes) if dataset.task == "classification" else None,
        functions=(encoding_of, as_text, moment, since, bare, number_pattern, to_number),
    )
