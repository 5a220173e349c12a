"""What happens to the weights of a step besides the optimizer's change, as pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.packing import Packing
from trainstack.workers.engine.structure import NUMBERS
from trainstack.workers.engine.variables import thrifty


def by_name(numbers: Any) -> dict[str, Any]:
    """Return a program's run-time numbers, a tensor [..., numbers], as one tensor each, [...]."""
    return dict(zip(NUMBERS, tf.unstack(numbers, axis=-1), strict=True))


def scheduled(numbers: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Return the run-time numbers with dropout and decay times the step's strength.

    Args:
        numbers: As `as_vector` orders them; of several networks [networks, numbers].
        strength: A scalar; of several networks [networks, 1].
    """
    theirs = tf.constant([name in ("rate", "decay") for name in NUMBERS])
    return tf.where(theirs, numbers * strength, numbers)


def averaged(average: list[tf.Tensor], now: list[tf.Tensor], kept: tf.Tensor) -> list[Any]:
    """Return kept · average + (1 - kept) · now for each pair of tensors.

    Args:
        average: The averaged weights.
        now: The weights; of several networks with a leading axis of networks, as the average.
        kept: A scalar; of several networks [networks, 1].
    """
    found = []
    for a, w in zip(average, now, strict=True):
        if not w.dtype.is_floating:  # the state of a random layer
            found.append(w)
            continue
        shape = [-1, *[1] * (w.shape.rank - 1)] if kept.shape.rank else []
        share = tf.reshape(kept, shape)
        found.append(share * a + (1.0 - share) * w)
    return found


class WeightUpdates:
    """The changes of a network's weights that its stack asks for besides the optimizer's.

    Args:
        stack: The stack.
        packing: Layout of the flat weights.
        bounded: Places of the kernels that max-norm clips → the axes of one unit's weights, and
            the number by which the layer multiplies them in use.
        kernels: Places of the kernels that decay.
        factors: Place of a variable → key of the number that multiplies its rate.
        pretrained: Places of the pretrained variables.

    Attributes:
        is_bounded: Whether `bounded` changes anything; likewise the others.
        is_scheduled: Whether `scheduled` changes anything.
    """

    def __init__(
        self,
        stack: Stack,
        packing: Packing,
        bounded: Mapping[int, tuple[Sequence[int], float]],
        kernels: set[int],
        factors: Mapping[int, str],
        pretrained: set[int],
    ) -> None:
        self.packing = packing
        self.is_bounded = stack["max_norm"] == "clip"
        self.is_decayed = stack["decay"] != "none"
        self.is_scheduled = stack["regularizer_schedule"] != "constant"
        self._bounded, self._pretrained = bounded, pretrained
        decays = [np.full(s, k in kernels, np.float32) for k, s in enumerate(packing.shapes)]
        self._decays = [thrifty(part) for part in packing.joined(decays)]
        # Place of a variable → place of its rate factor among the numbers.
        self._factors = {
            place: NUMBERS.index(key) for place, key in factors.items() if stack[key] != 1.0
        }

    @property
    def has_rates(self) -> bool:
        """Whether `at_own_rates` changes anything."""
        return bool(self._factors or self._pretrained)

    def decayed(self, flat: list[tf.Tensor], rate: tf.Tensor, decay: tf.Tensor) -> list[tf.Tensor]:
        """Shrink every kernel by rate · decay · itself, as Keras's optimizers do before a step.

        Args:
            flat: The packed weights, [N], or of several networks, [networks, N].
            rate: Learning rate of the step, [], or [networks, 1].
            decay: The decay, of the same shape.

        Reference: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.
        """
        return [w - w * (decay * rate) * part for w, part in zip(flat, self._decays, strict=True)]

    def at_own_rates(
        self,
        before: list[tf.Tensor],
        after: list[tf.Tensor],
        numbers: tf.Tensor,
        pretrained: tf.Tensor,
    ) -> list[tf.Tensor]:
        """Scale an optimizer's step for weights that learn at a multiple of the learning rate.

        w ← w + f · (w' − w), where f is the product of the weight's factors and w' what the
        optimizer made of w. A step is proportional to the rate in every optimizer here but FTRL,
        for which f damps the step. Decoupled weight decay is part of the step, so it is scaled,
        too; gradients are clipped before, regardless of factors.

        Args:
            before: The packed weights before the step.
            after: The same after it.
            numbers: The run-time numbers.
            pretrained: The factor of pretrained layers.
        """
        old, new = self.packing.split(before), self.packing.split(after)
        for place in sorted({*self._factors, *self._pretrained}):
            factor = numbers[self._factors[place]] if place in self._factors else 1.0
            factor = factor * pretrained if place in self._pretrained else factor
            new[place] = old[place] + factor * (new[place] - old[place])
        return self.packing.join(new)

    def bounded(self, flat: list[tf.Tensor], numbers: tf.Tensor) -> list[tf.Tensor]:
        """Clip each hidden neuron's incoming weight vector to the radius among the numbers."""
        radius = by_name(numbers)["radius"]
        weights = self.packing.split(flat)
        for place, (axes, gain) in self._bounded.items():
            norms = tf.sqrt(tf.reduce_sum(tf.square(weights[place]), axes, keepdims=True))
            norms = norms if gain == 1.0 else gain * norms
            weights[place] *= tf.clip_by_value(norms, 0.0, radius) / (norms + 1e-7)
        return self.packing.join(weights)
