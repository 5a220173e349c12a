"""The kernels of Keras's layers: their fans, and the weights that enter one unit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

_RECURRENT = (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)
_TRANSPOSED = tuple(getattr(keras.layers, f"Conv{d}DTranspose") for d in (1, 2, 3))
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_PLAIN = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel of a layer, which may not be built yet.

    Attributes:
        owner: The layer, or the cell of a recurrent one.
        name: Name of its variable.
        prefix: What the names of its initializer, regularizer and constraint start with.
        fans: Shape of the kernel → (fan_in, fan_out): the numbers that enter a unit, and the units
            that a number enters.
        incoming: Axes of the kernel over which the weights of one unit lie, from the end.
        is_drawn: Whether it is drawn from the stack's initializer.
        gated: Whether it feeds gates, whose activations are sigmoid and tanh.
    """

    owner: Any
    name: str
    prefix: str
    fans: Callable[[tuple[int, ...]], tuple[float, float]]
    incoming: tuple[int, ...]
    is_drawn: bool = True
    gated: bool = False

    @property
    def variable(self) -> Any:
        """Keras's variable; the layer must be built."""
        return getattr(self.owner, self.name)

    def set(self, what: str, value: Any) -> None:
        """Set the kernel's `initializer`, `regularizer` or `constraint` before it is built."""
        setattr(self.owner, f"{self.prefix}_{what}", value)


def kernels_of(layer: Any) -> tuple[Kernel, ...]:
    """Return the kernels of a layer, that which makes its outputs last; none if it has none.

    Fans are counted by the kind of layer: a depthwise convolution has only the positions of one
    channel, a transposed one with strides k only every k-th position, the gates of a recurrent
    layer the inputs of one gate. Recurrent kernels keep Keras's orthogonal start (Saxe et al.
    2014).
    """
    if isinstance(layer, _RECURRENT):
        cell: Any = layer.cell
        fans: Any = lambda s: (s[0], cell.units)  # noqa: E731
        return (
            Kernel(cell, "recurrent_kernel", "recurrent", fans, (-2,), is_drawn=False),
            Kernel(cell, "kernel", "kernel", fans, (-2,), gated=True),
        )
    if isinstance(layer, _SEPARABLE):
        rank = len(layer.kernel_size)
        pointwise = Kernel(layer, "pointwise_kernel", "pointwise", _plain, _but_last(rank))
        depthwise = Kernel(layer, "depthwise_kernel", "depthwise", _depthwise, _spatial(rank))
        return depthwise, pointwise
    if isinstance(layer, _DEPTHWISE):
        return (Kernel(layer, "kernel", "depthwise", _depthwise, _spatial(len(layer.kernel_size))),)
    if isinstance(layer, _TRANSPOSED):
        rank, strides = len(layer.kernel_size), math.prod(layer.strides)
        fans = lambda s: (math.prod(s[:-2]) / strides * s[-1], math.prod(s[:-1]))  # noqa: E731
        return (Kernel(layer, "kernel", "kernel", fans, (*_spatial(rank), -1)),)
    if isinstance(layer, _PLAIN):
        groups = getattr(layer, "groups", 1)
        rank = len(getattr(layer, "kernel_size", ()))
        fans = lambda s: (_plain(s)[0], _plain(s)[1] / groups)  # noqa: E731
        return (Kernel(layer, "kernel", "kernel", fans, _but_last(rank)),)
    return ()


def is_recurrent(layer: Any) -> bool:
    """Return whether a layer has gates or a state."""
    return isinstance(layer, _RECURRENT)


def _plain(shape: tuple[int, ...]) -> tuple[float, float]:
    return math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]


def _depthwise(shape: tuple[int, ...]) -> tuple[float, float]:
    return math.prod(shape[:-2]), math.prod(shape[:-2]) * shape[-1]


def _spatial(rank: int) -> tuple[int, ...]:
    return tuple(range(-2 - rank, -2))


def _but_last(rank: int) -> tuple[int, ...]:
    return (*_spatial(rank), -2)
