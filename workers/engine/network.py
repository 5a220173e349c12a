"""One network as pure functions of its state: gradients, max-norm, validation sums.

The state is `flat` (the packed trainable weights, see `Packing`) and `fixed` (batch normalization's
averages). `Program` trains one network with these functions, `Bundle` several at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import tensorflow as tf

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.architecture import Architecture
from trainstack.workers.engine.dense_chain import DenseChain
from trainstack.workers.engine.independent import (
    Members,
    independent_members,
    mapped,
    member_keys,
    members_call,
)
from trainstack.workers.engine.layers import Context
from trainstack.workers.engine.losses import inverted, losses, scores, smoothed_losses, times
from trainstack.workers.engine.members import apart, combined
from trainstack.workers.engine.optimizer_updates import global_norm
from trainstack.workers.engine.own_network import built
from trainstack.workers.engine.packing import Packing
from trainstack.workers.engine.structure import Structure
from trainstack.workers.engine.weight_updates import WeightUpdates, by_name

# Rows per forward pass when a loss is measured; bounds the memory of wide layers.
EVALUATION_ROWS = 16_384
# Numbers of its largest layer that such a pass computes, at most, for the same reason.
MOST_NUMBERS = 1 << 24


class Network:
    """A structure's model, and the functions that train and measure it.

    Attributes:
        structure: Key of the program.
        context: Run-time values that its random layers read while a step is traced.
        model: The Keras model; of independent members all their weights (`Members`).
        architecture: What one network is made of.
        member: The Keras model of one network.
        independent: Number of independent members; 0: one network.
        hidden: Output of each hidden block.
        packing: Layout of the flat weights.
        updates: Changes of the weights besides the optimizer's.
        kernels: The kernels of its architecture, of independent members all of them.
        hidden_kernels: Those that penalties and max-norm apply to: all but the head's.
        gains: Numbers by which the layers multiply `kernels` in use.
        slice_rows: Rows per forward pass when a loss is measured.
    """

    context_kind: type[Context] = Context

    def __init__(self, structure: Structure, stack: Stack) -> None:
        self.structure = structure
        self.context = self.context_kind()
        made = self.architecture = self._made(stack)
        self.member, self.hidden = made.model, made.hidden
        self.independent = independent_members(stack)
        self.model: Any = self.member
        if self.independent:
            self.model = Members(self.member, self.context, self.independent)
        variables = self.model.trainable_variables
        self.packing = self._packed(variables)
        self.kernels = [self._of(kernel.variable) for kernel in made.kernels]
        self.gains = [kernel.gain for kernel in made.kernels]
        self.hidden_kernels = [self._of(kernel.variable) for kernel in made.hidden_kernels]
        most = EVALUATION_ROWS // stack.get("members.count", 1)  # every member answers each row
        a_row = max(1, made.numbers_a_row * max(1, self.independent))
        self.slice_rows = min(most, max(1, MOST_NUMBERS // a_row))
        places = {id(variable): place for place, variable in enumerate(variables)}
        self._hidden_places = [places[id(kernel)] for kernel in self.hidden_kernels]
        self._penalized = stack["penalty"] != "none"
        self._clipping = stack["clipping"]
        # Regressions ignore it.
        self._smooths = stack["label_smoothing"] > 0.0 and structure.classifies
        # Name of the average that is measured and kept in place of the weights, or `none`.
        self.averaging = stack["averaging"]
        units = ((kernel.incoming, kernel.gain) for kernel in made.hidden_kernels)
        self.updates = WeightUpdates(
            stack,
            self.packing,
            bounded=dict(zip(self._hidden_places, units, strict=True)),
            kernels={places[id(kernel)] for kernel in self.kernels},
            factors={k: key for k, key in enumerate(made.rate_keys()) if key is not None},
            pretrained={places[id(self._of(variable))] for variable in made.pretrained},
        )

    def completed(self, stack: Stack) -> Stack:
        """Return a stack with what the network chooses where the stack says nothing."""
        return self.architecture.completed(stack)

    def _made(self, stack: Stack) -> Architecture:
        """Build the network of the structure."""
        structure = self.structure
        if structure.network is None:
            return DenseChain(structure, stack, self.context)
        return built(structure.network, stack, structure.outputs, self.context)

    def _packed(self, variables: list[Any]) -> Packing:
        """Return the layout in which the weights are trained."""
        return Packing(variables, whole=not self.structure.compiled)

    def _of(self, variable: Any) -> Any:
        """Return a variable of one network, or that of all independent members."""
        return self.model.of(variable) if self.independent else variable

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
            learner: Any = self.architecture.learner
            outputs, moved, added = learner.stateless_call(
                weights, fixed, x, training=True, return_losses=True
            )
            # As Keras: the sum of weight · loss, divided by the number of rows.
            kind = self.structure.trained_on
            outputs, y, mass = apart(outputs, y, mass)
            loss = total = tf.reduce_mean(times(mass, losses(kind, y, outputs)))
            if self._smooths:
                smoothed = smoothed_losses(kind, y, outputs, given["smoothing"])
                total = tf.reduce_mean(times(mass, smoothed))
            if self._penalized:
                for place, gain in zip(self._hidden_places, self.gains, strict=False):
                    w = weights[place] if gain == 1.0 else gain * weights[place]
                    total += l1 * tf.reduce_sum(tf.abs(w)) + l2 * tf.reduce_sum(tf.square(w))
            for loss_of_layer in added:  # of layers of a user's own
                total += loss_of_layer
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

    def plain(self, weights: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the model's weights as those of `plain_model`: kernels times their gains.

        States of random layers are left out. Independent members follow one another.
        """
        gains = {id(kernel): gain for kernel, gain in zip(self.kernels, self.gains, strict=True)}
        states = {id(v) for v in self.member.variables} - {id(v) for v in self.member.weights}
        found = [
            weight * np.float32(gains.get(id(variable), 1.0))
            for variable, weight in zip(self.model.variables, weights, strict=True)
            if id(variable) not in states
        ]
        members = range(self.independent)
        return [weight[k] for k in members for weight in found] if members else found

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
        kind, rows = self.structure.trained_on, cast(int, x.shape[0])
        answers, found, scored = [], [], []
        weights = self.packing.split(flat)
        for start in range(0, rows, self.slice_rows):
            part = (start, start + self.slice_rows)
            some, targets = _rows(x, *part), _rows(y, *part)
            mass = None if w is None else _rows(w, *part)
            if self.independent:
                outputs = members_call(self.member, self.context, weights, fixed, some)
            else:
                outputs = self.member.stateless_call(weights, fixed, some, training=False)[0]
            outputs = self.combined(outputs)
            answers.append(outputs)
            measured = outputs if inverse is None else inverted(outputs, inverse)
            found.append(tf.reduce_sum(times(mass, losses(kind, targets, measured))))
            scored.append(tf.reduce_sum(times(mass, scores(kind, targets, measured)), axis=0))
        sums = tf.concat([[tf.add_n(found)], tf.reshape(tf.add_n(scored), [-1])], 0)
        return sums, tf.concat(answers, 0) if self.structure.answers else None

    def combined(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return the joint outputs of the members, [B, K], if there are several."""
        return combined(outputs, self.structure.trained_on, self.structure.task)


def _rows(tensor: tf.Tensor, start: int, end: int) -> tf.Tensor:
    """Return a part of a tensor's rows; all of them trace nothing."""
    whole = start == 0 and end >= cast(int, tensor.shape[0])
    return tensor if whole else tensor[start:end]
