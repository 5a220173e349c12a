"""Members of a stack that share nothing: networks of one shape, trained in one program.

Every weight has a leading axis of members, over which one network's gradients are mapped, so that
products become batched products. The optimizer works element by element. So each member is trained
as it is alone, on the same batches.

Reference: Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using
Deep Ensembles", 2017.
"""

from __future__ import annotations

from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.layers import Context
from trainstack.workers.engine.variables import assign, put, values

# Distance between the keys of the members' masks (odd, so that none repeats).
MEMBER_KEY = 0x9E3779B9


def independent_members(stack: Stack) -> int:
    """Return the number of members that share nothing; 0: the stack is one network."""
    return stack["members.count"] if stack["members"] == "independent" else 0


def member_seed(seed: int, member: int) -> int:
    """Return the seed of a member's initial weights; the first one's is the run's own."""
    return int(np.random.default_rng([seed, 7, member]).integers(2**32)) if member else seed


class Members:
    """The weights of all members, in place of a Keras model's.

    Args:
        member: The Keras model of one member, whose own variables only serve to prepare weights.
        context: The run-time values of its random layers.
        count: Number of members.

    Attributes:
        variables: The model's variables in its order, each with a leading axis of members.
    """

    def __init__(self, member: keras.Model, context: Context, count: int) -> None:
        self.member, self.context, self.count = member, context, count
        self._at_start = [np.array(variable.numpy()) for variable in member.variables]
        self.variables = [
            keras.Variable(np.stack([value] * count), trainable=of.trainable, name=of.name)
            for of, value in zip(member.variables, self._at_start, strict=True)
        ]
        self._of = {id(of): ours for of, ours in zip(member.variables, self.variables, strict=True)}

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """The variables that are trained, in the model's order."""
        return [self.of(variable) for variable in self.member.trainable_variables]

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        """The other variables, in the model's order."""
        return [self.of(variable) for variable in self.member.non_trainable_variables]

    def of(self, variable: Any) -> keras.Variable:
        """Return the variable of all members for one of the model's."""
        return self._of[id(variable)]

    def count_params(self) -> int:
        """Return the number of weights of all members."""
        return self.count * self.member.count_params()

    def renew(self) -> None:
        """Give the model its variables as it was built."""
        assign(self.member.variables, self._at_start)

    def put(self, member: int) -> None:
        """Copy the model's variables to a member."""
        for ours, of in zip(self.variables, self.member.variables, strict=True):
            put(ours, member, of.value)

    def take(self, member: int) -> None:
        """Copy a member's variables to the model."""
        assign(self.member.variables, [ours.value[member] for ours in self.variables])

    def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return the outputs of all members in prediction, [B, members, K]."""
        assert not training
        own = values(self.trainable_variables), values(self.non_trainable_variables)
        return members_call(self.member, self.context, *own, x)


def member_keys(key: tf.Tensor, count: int) -> tf.Tensor:
    """Return the random key of each member's masks, key + i · MEMBER_KEY for member i, [members].

    Args:
        key: Random key of the step, uint32.
        count: Number of members.
    """
    distances = np.arange(count, dtype=np.uint64) * MEMBER_KEY % 2**32
    return key + tf.constant(distances, tf.uint32)


def members_call(
    model: keras.Model,
    context: Context,
    weights: list[tf.Tensor],
    fixed: list[tf.Tensor],
    x: tf.Tensor,
) -> tf.Tensor:
    """Return the outputs of every member for the same inputs, as in prediction.

    Args:
        model: The Keras model of one member.
        context: The run-time values of its random layers, which Monte-Carlo dropout needs.
        weights: The trainable variables of all members.
        fixed: Their other variables.
        x: Inputs, [B, D].

    Returns:
        [B, members, K].
    """
    count, key = cast(int, weights[0].shape[0]), context.key
    keys = member_keys(key, count) if context.monte_carlo else tf.zeros([count], tf.uint32)

    def outputs(of: Any) -> tf.Tensor:
        own, others, context.key = of
        return model.stateless_call(own, others, x, training=False)[0]

    try:
        found = mapped(outputs, (list(weights), list(fixed), keys))
    finally:
        context.key = key
    return tf.transpose(found, [1, 0, 2])


def mapped(function: Any, over: Any) -> Any:
    """Map a function of one network over the leading axis of its arguments."""
    return tf.vectorized_map(function, over, fallback_to_while_loop=False)
