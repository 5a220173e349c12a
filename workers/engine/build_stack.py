"""What a user's `build(stack, inputs, outputs)` makes its layers with: `stack`.

A *block* is a Keras layer with a kernel and what the stack puts around it: normalization,
activation and dropout in the stack's order, its initializer, penalty and max-norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from trainstack.search.saved_model import SavedModel, read_saved
from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.choices import Call
from trainstack.spaces.errors import RequestError
from trainstack.spaces.initializers import INITIALIZERS
from trainstack.spaces.own_pretrained import (
    CHOICE,
    FRESH,
    FROZEN,
    FROZEN_EPOCHS,
    RATE_FACTOR,
    THAWED,
)
from trainstack.workers.engine.asked_numbers import AskedNumbers, several
from trainstack.workers.engine.build import keras_object
from trainstack.workers.engine.kernels import Kernel, is_recurrent, kernels_of
from trainstack.workers.engine.layers import RUNTIME, Context, RReLU, SpatialDropout
from trainstack.workers.engine.saved_block import SavedBlock

_linear: Any = keras.activations.linear


@dataclass(eq=False)
class Block:
    """A block, which is called with a tensor like a layer.

    Attributes:
        stack: What made it.
        layer: The layer with the kernel; None for an activation alone.
        kernels: Its kernels, that which makes the outputs last.
        activates: Whether activation and dropout follow.
        output: Its output where it was first called.
    """

    stack: BuildStack
    layer: Any = None
    kernels: tuple[Kernel, ...] = ()
    activates: bool = True
    output: Any = None
    _after: list[Any] | None = None

    def __call__(self, inputs: Any) -> Any:
        """Return the block's output for a tensor; further calls share its weights."""
        outputs = inputs if self.layer is None else self.layer(inputs)
        if self._after is None:
            self._after = self.stack.after(self, len(outputs.shape))
        for layer in self._after:
            outputs = layer(outputs)
        if self.output is None:
            self.output = outputs
        return outputs


@dataclass(eq=False)
class BuildStack(AskedNumbers):
    """The stack as a user's `build` uses it.

    Attributes:
        context: Run-time values of the layers of the engine; None: Keras's own layers.
        activations: Number of activations of the network, of which the last is known; 0: unknown.
        files: Saved models by the names that the user gives them; further ones are read from disk.
        blocks: Its blocks with a kernel, in order.
        top: The layer that `head` made, or None.
        saved: The block that `pretrained` made, or None.
    """

    context: Context | None = None
    activations: int = 0
    files: dict[str, SavedModel] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    top: Any = None
    saved: SavedBlock | None = None
    _activated: int = 0
    _places: int = 0

    def dense(self, units: int, **keywords: Any) -> Block:
        """Return a block of a dense layer; further arguments are those of `keras.layers.Dense`."""
        return self._made(keras.layers.Dense, units, **keywords)

    def conv2d(self, filters: int, kernel_size: Any, **keywords: Any) -> Block:
        """Return a block of a convolution; further arguments are those of `Conv2D`."""
        return self._made(keras.layers.Conv2D, filters, kernel_size, **keywords)

    def separable_conv2d(self, filters: int, kernel_size: Any, **keywords: Any) -> Block:
        """Return a block of a separable convolution, as `SeparableConv2D`."""
        return self._made(keras.layers.SeparableConv2D, filters, kernel_size, **keywords)

    def lstm(self, units: int, **keywords: Any) -> Block:
        """Return a block of an LSTM, as `keras.layers.LSTM`, whose activations it keeps."""
        return self._made(keras.layers.LSTM, units, **keywords)

    def gru(self, units: int, **keywords: Any) -> Block:
        """Return a block of a GRU, as `keras.layers.GRU`, whose activations it keeps."""
        return self._made(keras.layers.GRU, units, **keywords)

    def _made(self, kind: Any, *arguments: Any, **keywords: Any) -> Block:
        bare = "activation" in keywords and keywords["activation"] is None
        return self.block(kind(*arguments, **keywords), activate=not bare)

    def block(self, layer: Any, activate: bool = True) -> Block:
        """Return a block of any Keras layer with a kernel.

        Args:
            layer: The layer, new and without an activation of its own.
            activate: False leaves out activation and dropout, which `activation` adds: for a sum
                with a skip between them. `activation=None` says the same to `dense` and the others.

        Raises:
            RequestError: The layer has no kernel, or one already.
        """
        kernels = kernels_of(layer)
        if not kernels:
            kind = type(layer).__name__
            raise RequestError(f"stack.block({kind}) has no kernel", "a layer such as Conv1D")
        if layer.built:
            raise RequestError(
                f"stack.block: the layer {layer.name} is in use already", "a new one"
            )
        if not is_recurrent(layer):
            if layer.activation is not _linear:
                raise RequestError(
                    f"the layer {layer.name} has an activation of its own",
                    "none: the stack brings it",
                )
            if self.chosen["normalization"] == "before":  # its shift is the bias
                layer.use_bias = False
        made = Block(self, layer, kernels, activate)
        if self.context is None:
            self._say(kernels)
        if self.context is None or self.context.by_keras:
            self._penalize(kernels)
        self.blocks.append(made)
        return made

    def _say(self, kernels: Sequence[Kernel]) -> None:
        """Give Keras's kernels what the engine applies itself."""
        stack = self.chosen
        for kernel in kernels:
            if kernel.is_drawn:
                kernel.set("initializer", keras_object(INITIALIZERS[stack["initializer"]].call))
            if stack["max_norm"] == "clip":
                axes: Any = list(kernel.incoming)
                bound = keras.constraints.MaxNorm(stack["max_norm.radius"], axis=axes)
                kernel.set("constraint", bound)

    def _penalize(self, kernels: Sequence[Kernel]) -> None:
        """Give Keras's kernels their penalty."""
        if penalty := self.chosen.numbers("penalty"):
            for kernel in kernels:
                kernel.set("regularizer", keras.regularizers.L1L2(**penalty))

    def pretrained(
        self,
        file: str,
        layer: str | None = None,
        freeze: bool = True,
        unfreeze_after: int | Sequence[int] = (3, 10),
        rate_factor: float | Sequence[float] = (0.1, 0.3, 1.0),
        fresh: bool = True,
    ) -> SavedBlock:
        """Return layers of a saved Keras model as a block; what becomes of them is an axis.

        Args:
            file: The `.keras` file.
            layer: Name of the last layer to take; None: the whole model.
            freeze: Whether they may stay frozen to the end.
            unfreeze_after: Epochs after which they may be thawed, one number or several to choose
                from; none: they may not.
            rate_factor: The factor on their learning rate from then on, likewise.
            fresh: Whether the same layers may start with fresh weights instead.

        Raises:
            RequestError: There is no such model or layer, or nothing to choose from.
        """
        if self.saved is not None:
            raise RequestError("stack.pretrained is called twice", "one saved model in a network")
        offered = {FROZEN: freeze, THAWED: unfreeze_after != (), FRESH: fresh}
        chosen = self.choice(CHOICE, [name for name, is_offered in offered.items() if is_offered])
        if chosen == THAWED:
            self.choice(FROZEN_EPOCHS, several(unfreeze_after))
            self.choice(RATE_FACTOR, several(rate_factor))
        if file not in self.files:
            self.files[file] = read_saved(file)
        self.saved = SavedBlock.of(file, self.files[file], layer, is_fresh=chosen == FRESH)
        return self.saved

    def activation(self) -> Block:
        """Return activation, normalization if it comes after it, and dropout, without a layer."""
        return Block(self)

    def head(self, units: int) -> Any:
        """Return the last layer: dense, with the stack's initial weights for it."""
        zeros = self.chosen["head"] == "zeros"
        self.top = keras.layers.Dense(
            units, kernel_initializer="zeros" if zeros else "glorot_uniform"
        )
        return self.top

    def after(self, block: Block, rank: int) -> list[Any]:
        """Return the layers after a block's layer, for outputs with `rank` axes."""
        placement, found = self.chosen["normalization"], []
        recurrent = block.layer is not None and is_recurrent(block.layer)
        if block.layer is not None and placement == "before":
            found.append(self._normalization())
        if not block.activates:
            return found
        if not recurrent:  # its gates have activations of their own
            found.append(self._activation(rank))
        if placement == "after":
            found.append(self._normalization())
        self._activated += 1
        last = self._activated == self.activations
        drops = self.chosen["dropout"]
        if drops in ("all", "hidden") or (drops == "last" and last):
            found.append(self.dropout(rank))
        return found

    def _normalization(self) -> Any:
        return keras.layers.BatchNormalization(momentum=self.chosen["normalization.momentum"])

    def _activation(self, rank: int) -> Any:
        call = ACTIVATIONS[self.chosen["activation"]].call
        assert call is not None
        numbers = call.keywords(self.chosen.numbers("activation"))
        if self.chosen["activation"] == "prelu":
            numbers["shared_axes"] = list(range(1, rank - 1)) or None
        if call.path != "RReLU":
            return keras_object(Call(call.path, numbers))
        if self.context is not None:
            return RReLU(self.context, self._place(), **numbers)
        return keras.layers.LeakyReLU(negative_slope=(numbers["lower"] + numbers["upper"]) / 2)

    def dropout(self, rank: int) -> Any:
        """Return dropout for tensors with `rank` axes: of whole channels if there are more than 2.

        Of [B, n] it is alpha dropout with SELU, as in dense stacks.
        """
        rate, alpha = self.chosen["dropout.rate"], self.chosen.drops_alpha
        if rank > 2 and self.context is not None:
            return SpatialDropout(self.context, self._place())
        if rank > 2:
            return getattr(keras.layers, f"SpatialDropout{rank - 2}D")(rate)
        kind = "layers.AlphaDropout" if alpha else "layers.Dropout"
        if self.context is not None:
            return RUNTIME[kind](self.context, self._place())
        return keras_object(Call(kind, {"rate": rate}))

    def _place(self) -> int:
        self._places += 1
        return self._places

    @property
    def activated(self) -> int:
        """Number of activations so far."""
        return self._activated
