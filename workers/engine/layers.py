"""Layers for training: dropout whose rate and random key are run-time values.

Keras's dropout has a constant rate, so each rate would compile a separate program; and under XLA
on the CPU its random numbers cost more than the training (docs/engine.md). Here a mask is a pure
function of (key, position): a 32-bit integer hash that the compiler vectorises.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, cast

import keras
import tensorflow as tf


@dataclass
class Context:
    """Run-time values that layers read while a step is traced.

    The masks of all layers are drawn together, because each draw takes sixty operations.

    Attributes:
        rate: Dropout rate, a scalar float32 tensor in [0, 1).
        key: Random key of this step, a scalar uint32 tensor, a new object each time.
        monte_carlo: True while dropout is on at prediction; the rest stays in inference mode.
        by_keras: Whether Keras adds the penalties to the loss, instead of the engine.
        widths: Place of each random layer → numbers that it draws per row.
    """

    rate: Any = None
    key: Any = None
    monte_carlo: bool = False
    by_keras: bool = False
    widths: dict[int, int] = field(default_factory=dict)
    _drawn: tuple[Any, dict[int, tf.Tensor]] = (None, {})

    def words(self, place: int, rows: int | tf.Tensor) -> tf.Tensor:
        """Return a layer's uniform 32-bit words: uint32, shape [rows, its width]."""
        if self._drawn[0] is not self.key:
            counts = [rows * width for width in self.widths.values()]
            words = random_words(self.key, rows * sum(self.widths.values()))
            parts = tf.split(words, counts) if len(counts) > 1 else [words]
            self._drawn = self.key, dict(zip(self.widths, parts, strict=True))
        return tf.reshape(self._drawn[1][place], [rows, self.widths[place]])


def _mix(bits: tf.Tensor) -> tf.Tensor:
    """Scramble 32-bit words so that neighbouring inputs give unrelated outputs.

    Two multiply-xorshift rounds, constants of Ettinger's low-bias search (Wellons, "Prospecting
    for hash functions", 2018).
    """
    shift, xor = tf.bitwise.right_shift, tf.bitwise.bitwise_xor
    word = lambda value: tf.constant(value, tf.uint32)  # noqa: E731 - a unit, not a function
    bits = xor(bits, shift(bits, word(16))) * word(0x7FEB352D)
    bits = xor(bits, shift(bits, word(15))) * word(0x846CA68B)
    return xor(bits, shift(bits, word(16)))


def random_words(key: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """Return uniform 32-bit words, a pure function of the arguments.

    Args:
        key: Scalar uint32, different in each step.
        count: Number of words.

    Returns:
        uint32 tensor of shape [count].
    """
    stream = _mix(key)
    words = tf.cast(tf.range(count), tf.uint32)
    return _mix(_mix(tf.bitwise.bitwise_xor(words, stream)) + stream)


class _Random(keras.layers.Layer):
    """A layer that is random in training and reads its key from the context."""

    def __init__(self, context: Context, place: int) -> None:
        super().__init__()
        self.context, self.place = context, place

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.context.widths[self.place] = math.prod(cast(Any, input_shape[1:]))

    def words(self, inputs: tf.Tensor) -> tf.Tensor:
        rows = inputs.shape[0]
        found = self.context.words(self.place, tf.shape(inputs)[0] if rows is None else rows)
        return found if inputs.shape.rank == 2 else tf.reshape(found, [-1, *inputs.shape[1:]])

    def idle(self, training: bool) -> bool:
        """Return whether the layer is inactive: at prediction without Monte-Carlo dropout."""
        return not (training or self.context.monte_carlo)

    def kept(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return a mask that is true with probability 1 - rate."""
        threshold = tf.cast(self.context.rate * 4294967296.0, tf.uint32)
        return self.words(inputs) >= threshold


class Dropout(_Random):
    """Inverted dropout: keep with probability 1 - rate, scale by 1 / (1 - rate)."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if self.idle(training):
            return inputs
        return tf.where(self.kept(inputs), inputs / (1.0 - self.context.rate), 0.0)


class SpatialDropout(Dropout):
    """Inverted dropout of whole channels: one mask for all positions of a row, [B, …, C].

    Reference: Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.context.widths[self.place] = cast(int, input_shape[-1])

    def words(self, inputs: tf.Tensor) -> tf.Tensor:
        found = self.context.words(self.place, tf.shape(inputs)[0])
        return tf.reshape(found, [-1, *[1] * (inputs.shape.rank - 2), inputs.shape[-1]])


class AlphaDropout(_Random):
    """Alpha dropout: set dropped units to SELU's negative limit, then restore mean and deviation.

    Reference: Klambauer et al., "Self-Normalizing Neural Networks", 2017, section "alpha dropout".
    """

    limit = -1.7580993408473766  # -scale · alpha of SELU

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if self.idle(training):
            return inputs
        rate = self.context.rate
        a = 1.0 / tf.sqrt((1.0 - rate) * (1.0 + rate * self.limit**2))
        b = -a * self.limit * rate
        return a * tf.where(self.kept(inputs), inputs, self.limit) + b


class RReLU(_Random):
    """Leaky ReLU whose slope is uniform in [lower, upper] in training and its mean afterwards.

    Reference: Xu et al., "Empirical Evaluation of Rectified Activations", 2015.
    """

    def __init__(self, context: Context, place: int, lower: float, upper: float) -> None:
        super().__init__(context, place)
        self.lower, self.upper = lower, upper

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        slope: Any = (self.lower + self.upper) / 2
        if training:
            unit = tf.cast(self.words(inputs), tf.float32) / 4294967296.0
            slope = self.lower + (self.upper - self.lower) * unit
        return tf.where(inputs >= 0, inputs, slope * inputs)


class Scale(keras.layers.Layer):
    """Multiply each input by a learned number, at first 1.

    `EinsumDense` does the same, but its product is not fused with others when compiled.
    """

    def build(self, input_shape: tuple[int | None, int]) -> None:
        self.kernel = self.add_weight(name="kernel", shape=input_shape[-1:], initializer="ones")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs * self.kernel


class MemberScale(keras.layers.Layer):
    """Give each member the inputs [B, D] times its own learned numbers, at first random signs.

    Returns [B, members, D].
    """

    def __init__(self, count: int, name: str) -> None:
        super().__init__(name=name)
        self.count = count

    def build(self, input_shape: tuple[int | None, int]) -> None:
        shape = (self.count, input_shape[-1])
        self.kernel: Any = self.add_weight(name="kernel", shape=shape, initializer="ones")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs[:, None] * self.kernel


class MemberHead(keras.layers.EinsumDense):
    """A dense layer of its own for each member, [B, members, n] → [B, members, K].

    Args:
        ntk: Whether kernels are divided by √n in use, as `NTKDense` does.
        keywords: As `EinsumDense` takes them.
    """

    def __init__(self, ntk: bool, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.ntk = ntk

    @property
    def gain(self) -> float:
        """1 / √n, or 1."""
        kernel: Any = self.kernel
        return kernel.shape[1] ** -0.5 if self.ntk else 1.0

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> Any:
        return super().call(inputs * self.gain if self.ntk else inputs, training=training)


class NTKDense(keras.layers.Dense):
    """A dense layer in the NTK parametrization: x · W / √n + b for n inputs.

    Fresh weights W are √n times those of an ordinary layer, so the layer computes the same at
    first. A step of gradient descent changes W / √n by 1 / n of an ordinary kernel's step, one of
    Adam by 1 / √n. The inputs are scaled, as they are fewer than the weights.

    Reference: Jacot et al., "Neural Tangent Kernel", 2018, section 2.
    """

    @property
    def gain(self) -> float:
        """1 / √n."""
        kernel: Any = self.kernel
        return kernel.shape[0] ** -0.5

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> Any:
        return super().call(inputs * self.gain, training=training)


def gain_of(dense: keras.layers.Layer) -> float:
    """Return the number by which a dense layer multiplies its kernel in use."""
    return dense.gain if isinstance(dense, NTKDense | MemberHead) else 1.0


RUNTIME = {"layers.Dropout": Dropout, "layers.AlphaDropout": AlphaDropout, "RReLU": RReLU}
