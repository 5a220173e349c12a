"""The script beside an exported table model, which predicts from raw rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainstack.search.data.columns import MISSING, as_text
from trainstack.search.data.model_inputs import input_names, is_text
from trainstack.search.data.spelling import Spelling
from trainstack.search.data.text_encoding import encoding_of
from trainstack.search.data.text_values import bare, moment, number_pattern, since, to_number
from trainstack.workers.export.rendering import render


def predict_script(dataset: Any, known: Mapping[str, Sequence[str]]) -> str:
    """Write the script that reads a table's rows and applies the saved model.

    Args:
        dataset: The loaded table.
        known: The categories of its text columns that training knows.

    Returns:
        A program `NAME.predict.py` that needs only Keras, TensorFlow and pandas, and looks for
        `NAME.keras` beside itself. It reads columns in the formats of `dataset`. If a file cannot
        be read so, it prints one line on standard error and exits with 2.
    """
    spelt = {name: spelling.arguments() for name, spelling in dataset.spellings.items()}
    inputs = input_names((*dataset.numeric, *dataset.text))
    words = {
        name: {1.0: spelling.true, 0.0: spelling.false}
        for name, spelling in dataset.spellings.items()
        if name in dataset.numeric and is_text(spelling)
    }
    return render(
        "predict.py.jinja",
        target=dataset.target,
        targets=list(dataset.targets),
        labels=[list(pair) for pair in dataset.labels],
        numeric=list(dataset.numeric),
        text=list(dataset.text),
        spelt={name: options for name, options in spelt.items() if options},
        origins=dict(dataset.origins),
        parsed=sorted(
            {
                " ".join(dataset.origins.get(name, name).split())
                for name, spelling in dataset.spellings.items()
                if name in dataset.numeric and name not in words and _is_parsed(spelling)
            }
        ),
        gaps=list(dataset.has_missing),
        known={
            name: ["" if level == MISSING else level for level in known[name]]
            for name in dataset.text
        },
        inputs={name: taken for name, taken in inputs.items() if taken != name},
        words=words,
        missing=MISSING,
        classes=list(dataset.classes) if dataset.task == "classification" else None,
        functions=(encoding_of, as_text, moment, since, bare, number_pattern, to_number),
    )


def _is_parsed(spelling: Spelling) -> bool:
    """Return whether a column's texts are no numbers that any program reads."""
    return bool({*spelling.arguments()} - {"kind", "missing"}) or spelling.kind == "date"
