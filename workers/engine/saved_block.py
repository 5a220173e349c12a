"""Layers of a saved model as a block of a user's own network, and loading saved models."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import keras

from trainstack.search.artifacts import Store
from trainstack.search.saved_model import SavedModel
from trainstack.spaces.errors import RequestError, nearest


@dataclass(frozen=True, eq=False)
class SavedBlock:
    """Layers of a saved model in a user's own network; called with a tensor like a layer.

    Attributes:
        file: The file as the user names it.
        model: The layers, with weights of their own.
        is_fresh: Whether the weights are fresh ones. Otherwise batch normalization stays as it was
            saved: it is not trained and works as in prediction, as Keras has it for frozen layers.
    """

    file: str
    model: Any
    is_fresh: bool

    @classmethod
    def of(cls, file: str, saved: SavedModel, layer: str | None, is_fresh: bool) -> SavedBlock:
        """Return the layers of a saved model up to one, or all.

        Raises:
            RequestError: Keras cannot load the model, or it has no such layer or several inputs.
        """
        whole = _whole(file, saved)
        if len(whole.inputs) != 1:
            raise RequestError(f"{file} has {len(whole.inputs)} inputs", "a model of one input")
        names = [each.name for each in whole.layers]
        if layer is not None and layer not in names:
            raise RequestError(f"{file} has no layer {layer!r}", hint=nearest(layer, names))
        end = whole.output if layer is None else whole.get_layer(layer).output
        taken: Any = keras.Model(whole.input, end)
        model: Any = keras.models.clone_model(taken)
        model.trainable = True
        if not is_fresh:
            model.set_weights(taken.get_weights())
            for each in model._flatten_layers():
                if isinstance(each, keras.layers.BatchNormalization):
                    each.trainable = False
        return cls(file, model, is_fresh)

    def __call__(self, inputs: Any) -> Any:
        """Return the layers' output for a tensor.

        Raises:
            RequestError: The tensor has another shape than the model takes.
        """
        wanted, shape = tuple(self.model.inputs[0].shape[1:]), tuple(inputs.shape[1:])
        fits = len(wanted) == len(shape) and all(
            a is None or a == b for a, b in zip(wanted, shape, strict=True)
        )
        if not fits:
            raise RequestError(f"{self.file} takes {wanted}, and is given {shape}", "equal shapes")
        return self.model(inputs)


# Content of saved models that this process holds, by its hash.
_contents: dict[str, bytes] = {}


def hold(saved: SavedModel, store: Store) -> None:
    """Hold the content of a saved model for networks that are built in this process.

    Raises:
        RequestError: As `SavedModel.content`.
    """
    _contents[saved.digest] = saved.content(store)


@cache
def _whole(file: str, saved: SavedModel) -> Any:
    """Return a saved model, loaded once."""
    content = _contents.get(saved.digest)
    return loaded(file, saved.content() if content is None else content)


def loaded(what: str, content: bytes) -> Any:
    """Load a saved model.

    Args:
        what: What it is for, for messages.
        content: Content of the `.keras` file.

    Raises:
        RequestError: Keras cannot load it.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "saved.keras"
        path.write_bytes(content)
        try:
            return keras.models.load_model(path, compile=False)
        except (OSError, ValueError, TypeError, KeyError) as error:
            reason = str(error).strip().split("\n")[0]
            raise RequestError(f"{what}: Keras cannot load the model ({reason})") from None
