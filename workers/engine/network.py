"""One network as pure functions of its state: gradients, max-norm, validation sums.

The state is `flat` (the packed trainable weights, see `Packing`) and `fixed` (batch normalization's
averages). `Program` trains one network with these functions, `Bundle` several at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import rated, training_model
from trainstack.workers.engine.embeddings import components
from trainstack.workers.engine.independent import (
    Members,
    independent_members,
    mapped,
    member_keys,
    members_call,
)
from trainstack.workers.engine.layers import Context, MemberHead, gain_of
from trainstack.workers.engine.losses import inverted, losses, scores, smoothed_losses
from trainstack.workers.engine.members import apart, combined
from trainstack.workers.engine.model_plan import plan
from trainstack.workers.engine.optimizer_updates import global_norm
from trainstack.workers.engine.own_network import BuiltNetwork, built
from trainstack.workers.engine.packing import Packing
from trainstack.workers.engine.structure import NUMBERS, Structure
from trainstack.workers.engine.variables import thrifty

# Rows per forward pass when a loss is measured; bounds the memory of wide layers.
EVALUATION_ROWS = 16_384
# Components of embedded numbers that such a pass computes, at most, for the same reason.
MOST_COMPONENTS = 1 << 24


class Network:
    """A structure's model, and the functions that train and measure it.

    Attributes:
        structure: Key of the program.
        context: Run-time values that its random layers read while a step is traced.
        model: The Keras model; of independent members all their weights (`Members`).
        member: The Keras model of one network.
        own: The user's network that it is, or None.
        independent: Number of independent members; 0: one network.
        hidden: Output of each hidden block.
        packing: Layout of the flat weights.
        dense: The dense layers, the head last.
        kernels: Their kernels; of a user's network those that the stack made.
        hidden_kernels: Those that penalties and max-norm apply to: all but the head's.
        gains: Numbers by which the layers multiply their kernels in use (1 but for NTK). Penalties
            and max-norm apply to these products.
        embedding: The layers of the embedding of numbers, two or none.
        slice_rows: Rows per forward pass when a loss is measured.
    """

    def __init__(self, structure: Structure, stack: Stack) -> None:
        self.structure = structure
        self.context = Context()
        self.own: BuiltNetwork | None = None
        shape = (stack, structure.inputs, structure.outputs, self.context)
        if structure.network is None:
            self.member, self.hidden = training_model(*shape)
        else:
            self.own = built(structure.network, stack, structure.outputs, self.context)
            self.member, self.hidden = self.own.model, self.own.hidden
        # Measurements and exports use float32; mixed precision applies to training steps only.
        self._learner = self.member
        if structure.precision == "mixed":
            self._learner, _ = training_model(*shape, policy="mixed_bfloat16")
        self.independent = independent_members(stack)
        self.model: Any = self.member
        if self.independent:
            self.model = Members(self.member, self.context, self.independent)
        self.packing = Packing(self.model.trainable_variables, whole=not structure.compiled)
        layers = self.member.layers
        self.dense: list[Any] = [
            each for each in layers if isinstance(each, keras.layers.Dense | MemberHead)
        ]
        self.kernels: list[Any] = [
            self.model.of(layer.kernel) if self.independent else layer.kernel
            for layer in self.dense
        ]
        self.gains = [gain_of(layer) for layer in self.dense]
        self.hidden_kernels = self.kernels[:-1]
        self._incoming: list[tuple[int, ...]] = [(-2,)] * len(self.hidden_kernels)
        if self.own is not None:
            self._take_kernels(self.own)
        self.embedding = [
            each
            for each in layers
            if isinstance(each, keras.layers.EinsumDense) and each.name in ("components", "mixture")
        ]
        a_row = structure.inputs.numbers * components(stack) * max(1, self.independent)
        most = EVALUATION_ROWS // stack.get("members.count", 1)  # every member answers each row
        if self.own is not None:
            a_row = self.own.largest
        self.slice_rows = min(most, max(1, MOST_COMPONENTS // max(1, a_row)))
        self._hidden_places = [
            self._place(self.model.trainable_variables, kernel) for kernel in self.hidden_kernels
        ]
        self._penalized = stack["penalty"] != "none"
        self._clipping = stack["clipping"]
        # Regressions ignore it.
        self._smooths = stack["label_smoothing"] > 0.0 and structure.classifies
        # Whether `bounded` and `decayed` change anything.
        self.is_bounded = stack["max_norm"] == "clip"
        self.is_decayed = stack["decay"] != "none"
        variables = self.model.trainable_variables
        kernels = {self._place(variables, kernel) for kernel in self.kernels}
        decays = [np.full(v.shape, k in kernels, np.float32) for k, v in enumerate(variables)]
        # Name of the average that is measured and kept in place of the weights, or `none`.
        self.averaging = stack["averaging"]
        # Whether `scheduled` changes anything.
        self.is_scheduled = stack["regularizer_schedule"] != "constant"
        self._decays = [thrifty(part) for part in self.packing.joined(decays)]
        # Place of a variable → place of its rate factor among the numbers.
        self._factors = {
            place: NUMBERS.index(key)
            for place, key in enumerate(self._rated(stack))
            if key is not None and stack[key] != 1.0
        }
        self._pretrained: set[int] = set()
        if stack["pretraining"] != "none":
            below = keras.Model(self.member.input, self.hidden[: stack["pretraining.layers"]][-1])
            self._pretrained = {self._place(variables, v) for v in below.trainable_variables}

    def _take_kernels(self, own: BuiltNetwork) -> None:
        """Take the kernels of a user's network in place of those of dense layers."""
        hidden = own.hidden_kernels
        self.dense = []
        self.hidden_kernels = [kernel.variable for kernel in hidden]
        self._incoming = [kernel.incoming for kernel in hidden]
        head = [] if own.top is None else [own.top.kernel]
        self.kernels = [*self.hidden_kernels, *head]
        self.gains = [1.0] * len(self.kernels)

    def _rated(self, stack: Stack) -> list[str | None]:
        """Return the key of the number that multiplies each trainable variable's learning rate."""
        if self.own is not None:
            keys = self.own.rates()
            return [keys.get(id(variable)) for variable in self.member.trainable_variables]
        network = plan(stack, self.structure.inputs, self.structure.outputs)
        return rated(self.member, network)

    @property
    def has_rate_factors(self) -> bool:
        """Whether `at_own_rates` changes anything."""
        return bool(self._factors or self._pretrained)

    @staticmethod
    def _place(variables: list[Any], wanted: Any) -> int:
        return next(k for k, variable in enumerate(variables) if variable is wanted)

    @cached_property
    def stages(self) -> list[keras.Model]:
        """The network in parts: from its input to the first dense layer's, from there to the next
        one's, and so on."""
        ends = [self.member.input, *(layer.input for layer in self.dense)]
        return [keras.Model(*pair) for pair in pairwise(ends)]

    @property
    def observed_kernels(self) -> list[Any]:
        """The kernel that makes each of the hidden outputs."""
        if self.own is None:
            return [layer.kernel for layer in self.dense[:-1]]
        return [block.kernels[-1].variable for block in self.own.blocks]

    def gradients(
        self,
        flat: list[tf.Tensor],
        fixed: list[tf.Tensor],
        x: tf.Tensor,
        y: tf.Tensor,
        mass: tf.Tensor | None,
        numbers: tf.Tensor,
        key: tf.Tensor,
    ) -> tuple[list[tf.Tensor], list[tf.Tensor], tf.Tensor]:
        """Trace one step up to the optimizer.

        Args:
            flat: The packed weights.
            fixed: The other variables of the model.
            x: Inputs of the batch, [B, D].
            y: Targets, [B] or [B, T].
            mass: Weights of the rows, [B]; None: all are 1.
            numbers: The run-time numbers, as `as_vector` orders them.
            key: Random key of the step's masks, uint32.

        Returns:
            The clipped gradients of loss and penalties, the new `fixed`, and the batch's
            loss without penalties and smoothing.
        """
        if not self.independent:
            return self._gradients(flat, self.packing.split, fixed, x, y, mass, numbers, key)

        def of_member(own: Any) -> Any:
            weights, others, its_key = own
            return self._gradients(weights, list, others, x, y, mass, numbers, its_key)

        each = self.packing.split(flat), fixed, member_keys(key, self.independent)
        found, moved, losses = mapped(of_member, each)
        return self.packing.join(found), moved, tf.reduce_mean(losses)

    def _gradients(
        self,
        parts: list[tf.Tensor],
        split: Callable[[list[tf.Tensor]], list[tf.Tensor]],
        fixed: list[tf.Tensor],
        x: tf.Tensor,
        y: tf.Tensor,
        mass: tf.Tensor | None,
        numbers: tf.Tensor,
        key: tf.Tensor,
    ) -> tuple[list[tf.Tensor], list[tf.Tensor], tf.Tensor]:
        """Trace `gradients` of one network by `parts`, from which `split` makes its weights."""
        given = by_name(numbers)
        l1, l2, limit = given["l1"], given["l2"], given["limit"]
        self.context.rate, self.context.key = given["rate"], key
        with tf.GradientTape() as tape:
            tape.watch(parts)
            weights = split(parts)
            outputs, moved = self._call(weights, fixed, x, training=True)
            # As Keras: the sum of weight · loss, divided by the number of rows.
            kind = self.structure.trained_on
            outputs, y, mass = apart(outputs, y, mass)
            loss = total = tf.reduce_mean(_times(mass, losses(kind, y, outputs)))
            if self._smooths:
                smoothed = smoothed_losses(kind, y, outputs, given["smoothing"])
                total = tf.reduce_mean(_times(mass, smoothed))
            if self._penalized:
                for place, gain in zip(self._hidden_places, self.gains, strict=False):
                    w = weights[place] if gain == 1.0 else gain * weights[place]
                    total += l1 * tf.reduce_sum(tf.abs(w)) + l2 * tf.reduce_sum(tf.square(w))
        gradients: list[Any] = tape.gradient(total, parts)
        if self._clipping == "value":
            gradients = [tf.clip_by_value(g, -limit, limit) for g in gradients]
        elif self._clipping == "norm":
            gradients, _ = tf.clip_by_global_norm(gradients, limit, use_norm=self._norm(gradients))
        return gradients, moved, loss

    def _norm(self, gradients: list[tf.Tensor]) -> tf.Tensor:
        """Return the gradients' global norm; TensorFlow's own cannot be mapped over networks."""
        if self.structure.compiled:
            return global_norm(gradients)
        return tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(g)) for g in gradients]))

    @staticmethod
    def scheduled(numbers: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        """Return the run-time numbers with dropout and decay times the step's strength.

        Args:
            numbers: As `as_vector` orders them; of several networks [networks, numbers].
            strength: A scalar; of several networks [networks, 1].
        """
        theirs = tf.constant([name in ("rate", "decay") for name in NUMBERS])
        return tf.where(theirs, numbers * strength, numbers)

    @staticmethod
    def averaged(average: list[tf.Tensor], now: list[tf.Tensor], kept: tf.Tensor) -> list[Any]:
        """Return kept · average + (1 - kept) · now for each pair of tensors.

        Args:
            average: The averaged weights.
            now: The weights; of several networks with a leading axis of networks, as the average.
            kept: A scalar; of several networks [networks, 1].
        """
        found = []
        for a, w in zip(average, now, strict=True):
            shape = [-1, *[1] * (w.shape.rank - 1)] if kept.shape.rank else []
            share = tf.reshape(kept, shape)
            found.append(share * a + (1.0 - share) * w)
        return found

    def decayed(self, flat: list[tf.Tensor], rate: tf.Tensor, decay: tf.Tensor) -> list[tf.Tensor]:
        """Shrink every kernel by rate · decay · itself, as Keras's optimizers do before a step.

        Args:
            flat: The packed weights, [N], or of several networks, [networks, N].
            rate: Learning rate of the step, [], or [networks, 1].
            decay: The decay, of the same shape.

        Reference: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.
        """
        return [w - w * (decay * rate) * part for w, part in zip(flat, self._decays, strict=True)]

    def plain(self, weights: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the model's weights as those of `plain_model`: kernels times their gains.

        Independent members follow one another.
        """
        if self.own is not None:  # without the states of random layers
            kept = {id(variable) for variable in self.member.weights}
            pairs = zip(self.model.variables, weights, strict=True)
            return [weight for variable, weight in pairs if id(variable) in kept]
        gains = {id(kernel): gain for kernel, gain in zip(self.kernels, self.gains, strict=True)}
        found = [
            weight * np.float32(gains.get(id(variable), 1.0))
            for variable, weight in zip(self.model.variables, weights, strict=True)
        ]
        members = range(self.independent)
        return [weight[k] for k in members for weight in found] if members else found

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
        for place, gain, axes in zip(self._hidden_places, self.gains, self._incoming, strict=False):
            norms = tf.sqrt(tf.reduce_sum(tf.square(weights[place]), axes, keepdims=True))
            norms = norms if gain == 1.0 else gain * norms
            weights[place] *= tf.clip_by_value(norms, 0.0, radius) / (norms + 1e-7)
        return self.packing.join(weights)

    def sums(
        self,
        flat: list[tf.Tensor],
        fixed: list[tf.Tensor],
        x: tf.Tensor,
        y: tf.Tensor,
        w: tf.Tensor | None,
        inverse: Any,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Sum loss and score over validation rows, in slices that bound the memory.

        Args:
            flat: The packed weights.
            fixed: The other variables of the model.
            x: Inputs, [M, D].
            y: Targets, [M] or [M, T].
            w: Weights of the rows, [M]; None: all are 1.
            inverse: What `inverted` needs; None if outputs and targets share a scale.

        Returns:
            [1 + number of scores], and the outputs [M, K] if the structure asks for them.
        """
        kind, rows = self.structure.trained_on, x.shape[0]
        answers = []
        weights = self.packing.split(flat)
        loss = score = tf.constant(0.0)
        for start in range(0, cast(int, rows), self.slice_rows):
            part = slice(start, start + self.slice_rows)
            if self.independent:
                outputs = members_call(self.member, self.context, weights, fixed, x[part])
            else:
                outputs, _ = self._call(weights, fixed, x[part], training=False)
            outputs = self.combined(outputs)
            answers.append(outputs)
            measured = outputs if inverse is None else inverted(outputs, inverse)
            mass = None if w is None else w[part]
            loss += tf.reduce_sum(_times(mass, losses(kind, y[part], measured)))
            score += tf.reduce_sum(_times(mass, scores(kind, y[part], measured)), axis=0)
        sums = tf.concat([[loss], tf.reshape(score, [-1])], 0)
        return sums, tf.concat(answers, 0) if self.structure.answers else None

    def combined(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return the joint outputs of the members, [B, K], if there are several."""
        return combined(outputs, self.structure.trained_on, self.structure.task)

    def _call(
        self, weights: list[Any], fixed: list[Any], x: tf.Tensor, training: bool
    ) -> tuple[Any, list[Any]]:
        """Run the network with these weights; also return batch normalization's new averages."""
        model = self._learner if training else self.member
        found: Any = model.stateless_call(weights, fixed, x, training=training)
        return found


def by_name(numbers: Any) -> dict[str, Any]:
    """Return a program's run-time numbers, a tensor [..., numbers], as one tensor each, [...]."""
    return dict(zip(NUMBERS, tf.unstack(numbers, axis=-1), strict=True))


def _times(weights: tf.Tensor | None, values: tf.Tensor) -> tf.Tensor:
    """Return weights [B] · values, [B] or [B, T]; the values alone if there are no weights."""
    if weights is None:
        return values
    return (weights[:, None] if values.shape.rank == 2 else weights) * values
