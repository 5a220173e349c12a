"""A saved model whose lower layers networks start with: `--reuse MODEL.keras`.

It is read without TensorFlow: a `.keras` file is an archive that describes its layers as JSON. Only
workers load its weights, from the artifact store, where it lies under the hash of its content.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.search.saved_model import SavedModel, digest_of
from trainstack.spaces.errors import RequestError
from trainstack.spaces.reusable import Reusable, by_name

if TYPE_CHECKING:
    from trainstack.spaces.space import Space
    from trainstack.spaces.stack import Stack

# Layers before the first dense one that only prepare the inputs.
_PREPARING = (
    *("InputLayer", "Normalization", "Rescaling", "Flatten", "Reshape", "Concatenate"),
    *("Dropout", "AlphaDropout", "GaussianNoise"),
)
# Layers that do nothing when a network predicts.
_IDLE = ("Dropout", "AlphaDropout", "GaussianNoise")
# Keras's other names of activations.
_OTHER_NAMES = {"silu": "swish"}


@dataclass(frozen=True)
class Reused(SavedModel):
    """A saved model of dense layers.

    Attributes:
        units: Widths of its hidden layers that can be reused, first to last.
        activation: Their activation.
    """

    units: tuple[int, ...]
    activation: str

    @property
    def layers(self) -> Reusable:
        """The layers that networks may start with."""
        return Reusable(tuple(self.units), self.activation)


def read_reused(text: str, features: int) -> Reused:
    """Read the layers of a saved model.

    Args:
        text: The value of `--reuse`.
        features: Number of the network's inputs.

    Raises:
        RequestError: It is no saved Keras model, or its first hidden layer cannot be reused.
    """
    path = Path(os.path.abspath(os.path.expanduser(text)))
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise RequestError(f"--reuse {text} cannot be read ({reason})", "a .keras file") from None
    try:
        with zipfile.ZipFile(path) as archive:
            layers = list(_flat(json.loads(archive.read("config.json"))))
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError):
        raise RequestError(f"--reuse {text} is no saved Keras model", "a .keras file") from None
    units, activation = _hidden(layers, path.name, features)
    return Reused(str(path), digest_of(content), units, activation)


def _flat(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the layers of a model, those of a model within it in its place.

    The part of an exported model that reads a table's columns has no dense layers.
    """
    inner = document["config"].get("layers")
    if inner is None:
        yield document
    elif document["config"].get("name") != "columns":
        for layer in inner:
            yield from _flat(layer)


def _hidden(layers: list[dict[str, Any]], name: str, features: int) -> tuple[tuple[int, ...], str]:
    """Return widths and activation of the first hidden layers that are alike.

    Raises:
        RequestError: The first of them does not fit; the message names it.
    """
    places = [k for k, layer in enumerate(layers) if layer["class_name"] == "Dense"]
    first = places[0] if places else len(layers)
    for layer in layers[:first]:
        if layer["class_name"] not in _PREPARING and "keras.src.ops" not in str(layer["module"]):
            raise _misfit(name, layer, f"is a {layer['class_name']}", "dense layers")
    if len(places) < 2:
        raise RequestError(
            f"--reuse {name} has {'a single dense layer' if places else 'no dense layer'}",
            "hidden dense layers below its last",
        )
    width = layers[first].get("build_config", {}).get("input_shape", [None])[-1]
    if width != features:
        wanted = f"{features}, the features of this data"
        raise _misfit(name, layers[first], f"takes {width} inputs", wanted)
    units: list[int] = []
    shared = ""
    for place, end in pairwise(places):
        activation, problem = _activation(layers[place:end])
        if not problem and shared not in ("", activation):
            problem = (layers[place], f"has the activation {activation}", shared)
        if problem:
            if not units:
                raise _misfit(name, *problem)
            break
        shared = activation
        units.append(layers[place]["config"]["units"])
    return tuple(units), shared


def _activation(block: list[dict[str, Any]]) -> tuple[str, tuple[dict[str, Any], str, str] | None]:
    """Return the activation of a dense layer with what follows it, and what does not fit."""
    dense, *others = block
    found = dense["config"]["activation"]
    if not dense["config"].get("use_bias", True):
        return "", (dense, "has no biases", "dense layers with biases")
    for layer in others:
        if layer["class_name"] == "Activation" and found == "linear":
            found = layer["config"]["activation"]
        elif layer["class_name"] not in _IDLE:
            return "", (layer, f"is a {layer['class_name']}", "dense layers with an activation")
    found = _OTHER_NAMES.get(str(found), found)
    if found not in by_name():
        return "", (dense, f"has the activation {found!r}", "one of " + ", ".join(by_name()))
    return found, None


def _misfit(name: str, layer: dict[str, Any], what: str, expected: str) -> RequestError:
    return RequestError(f"--reuse {name}: layer '{layer['config'].get('name')}' {what}", expected)


def check_reuse(reused: Reused | None, space: Space, stacks: Sequence[Stack]) -> None:
    """Check that what is asked for can be reused.

    Args:
        reused: The saved model, or None.
        space: The space, with the model's layers.
        stacks: The stacks to train instead of searching; none: search.

    Raises:
        RequestError: A space or a stack reuses layers without a model, or other layers than its.
    """
    wanted = [stack for stack in stacks if stack["pretraining"] == "reuse"]
    if reused is None and (wanted or (not stacks and "reuse" in space.arms["pretraining"])):
        who = "a stack" if wanted else f"space '{space.name}'"
        raise RequestError(f"{who} has pretraining 'reuse'", "--reuse MODEL.keras beside it")
    for stack in wanted:
        if reused is not None and not reused.layers.fits(stack):
            count, layers = stack["pretraining.layers"], reused.layers
            raise RequestError(
                f"a stack reuses {count} layer(s) of {list(stack.units)} {stack['activation']}",
                f"the first layers of {Path(reused.file).name}: "
                f"{list(layers.units)} {layers.activation}",
            )
