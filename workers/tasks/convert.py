"""Write an exported model in a format of another runtime.

`python -m trainstack.workers.tasks.convert` reads the request from standard input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from trainstack.search.data.model_description import ModelDescription
from trainstack.search.data.model_inputs import COLUMNS, NETWORK
from trainstack.spaces.errors import RequestError
from trainstack.workers.tasks.requests import serve

# Rows on which a converted model must answer as the original does, and how far it may be off:
# another runtime adds in another order.
CHECKED_ROWS, NEAR = 32, 1e-3


def convert(request: Any) -> Iterator[dict[str, str]]:
    """Write the model of a `.keras` file in another format.

    Args:
        request: `{"file", "format", "output"}`: the file; `savedmodel` or `litert`; the folder or
            the file to write.

    Yields:
        `{"note"}` for the user: what the written model takes.

    Raises:
        RequestError: The format cannot express the model, or it cannot be written.
    """
    from trainstack.workers.tasks.loading import load

    predictor = load(Path(request["file"]))
    write = _saved_model if request["format"] == "savedmodel" else _lite
    output = Path(request["output"])
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        yield {"note": write(predictor.model, predictor.description, output)}
    except OSError as error:
        raise RequestError(f"cannot write {output} ({error.strerror or error})") from None


def served_names(model: Any) -> dict[str, str]:
    """Return the name of each input of a SavedModel, by the input's own.

    A SavedModel's names have letters, digits and underscores only, begin with a letter, and differ
    from each other.

    >>> from types import SimpleNamespace as Input
    >>> model = Input(inputs=[Input(name="km per h"), Input(name="km-per-h"), Input(name="9")])
    >>> served_names(model)
    {'km per h': 'km_per_h', 'km-per-h': 'km_per_h_', '9': 'column_9'}
    """
    found: dict[str, str] = {}
    for each in model.inputs:
        name = re.sub(r"\W", "_", each.name, flags=re.ASCII)
        name = name if name[:1].isalpha() else f"column_{name}"
        while name in found.values():
            name += "_"
        found[each.name] = name
    return found


def _saved_model(model: Any, description: ModelDescription, output: Path) -> str:
    """Write a folder as TensorFlow Serving reads it; return what it takes."""
    import tensorflow as tf

    if not description.is_table:
        model.export(output, verbose=False)
        return f"takes rows {list(description.shape)} as `features`"
    names = served_names(model)
    inputs = {
        each.name: tf.TensorSpec((None,), each.dtype, names[each.name]) for each in model.inputs
    }
    model.export(output, input_signature=[inputs], verbose=False)
    renamed = any(name != other for name, other in names.items())
    return "takes the columns by name" + (", with _ for other signs" if renamed else "")


def _lite(model: Any, description: ModelDescription, output: Path) -> str:
    """Write a file for LiteRT; return what it takes.

    LiteRT has neither look-up tables of texts nor missing numbers, so a table's file takes the
    features that the layer `columns` makes of the columns.

    Raises:
        RequestError: LiteRT cannot express the model, or does not answer as it does.
    """
    from trainstack.workers.export.deployment import answers, converted

    part = model.get_layer(NETWORK) if description.is_table else model
    shape = part.inputs[0].shape[1:]
    rows = np.random.default_rng(0).normal(size=(CHECKED_ROWS, *shape)).astype(np.float32)
    try:
        content = converted(part, "float32")
        found = answers(content, rows)
    except Exception as error:
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise RequestError(
            f"this model cannot be written for LiteRT ({cause})",
            "--format keras or savedmodel, which express every model",
        ) from None
    expected = np.asarray(part(rows, training=False))
    if not np.allclose(found, expected, rtol=NEAR, atol=NEAR * np.abs(expected).max()):
        raise RequestError(
            "LiteRT would not answer as this model does",
            "--format keras or savedmodel, which express every model",
        )
    output.write_bytes(content)
    if not description.is_table:
        return f"takes rows {list(shape)}"
    plain = not description.text and len(description.numeric) == shape[0]
    what = "the columns in the order of the table" if plain else f"the output of layer `{COLUMNS}`"
    return f"takes {shape[0]} numbers per row: {what}"


if __name__ == "__main__":
    raise SystemExit(serve(convert))
