"""Lower layers that are trained before a run and reused by it.

The first epochs train only the upper layers, on the outputs of the frozen ones.

Reference: Bengio et al., "Greedy layer-wise training of deep networks", 2007 (unsupervised
pretraining); Yosinski et al., "How transferable are features in deep neural networks?", 2014.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from trainstack.search.conditions import AUTOENCODER
from trainstack.search.records import Measurement, Outcome
from trainstack.spaces.optimizers import OPTIMIZERS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.bench import Bench
from trainstack.workers.engine.checkpoint import Checkpoint
from trainstack.workers.engine.conditions import outputs
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.losses import RECONSTRUCTION
from trainstack.workers.engine.network import EVALUATION_ROWS
from trainstack.workers.engine.objective import Objective
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.training import Training

if TYPE_CHECKING:
    from trainstack.workers.messages import Job

# Share of the epochs during which reused layers are frozen.
FROZEN_SHARE = 0.25


class Reuse:
    """Trains lower layers and starts runs with them; keeps those trained last.

    The runs that tune an arm's learning rate share a seed, and so the same lower layers.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._kept: tuple[Any, list[np.ndarray]] = ((), [])

    def start(self, job: Job, program: Program) -> Checkpoint:
        """Return a run's initial state: reused lower layers with the upper ones trained on them.

        The epochs spent on this count as the run's own.
        """
        assert job.stack is not None
        lower = self._lower(job, job.stack)
        program.set_weights([*lower, *program.weights()[len(lower) :]])
        split, _ = self.bench.split(job.split, job.condition)
        place = len(lower) // 2  # one kernel and one bias per layer
        below = keras.Model(program.model.input, program.hidden[place - 1])
        standard, weights = split.standardised(), (split.w_train, split.w_valid)
        data = DeviceData(
            *(_through(below, standard.x_train), tf.constant(standard.y_train)),
            *(_through(below, standard.x_valid), tf.constant(standard.y_valid)),
            *(None if w is None else tf.constant(w, tf.float32) for w in weights),
            inverse=None if split.log is None else tf.constant(split.inverse),
        )
        stack = job.stack.but(units=list(job.stack.units[place:]))
        upper, _ = self.bench.program(stack, data, job.epochs, job.again, program.structure.outputs)
        upper.reset(stack, job.seed, data)
        epochs = max(1, round(FROZEN_SHARE * job.epochs))
        trained = Training(
            *(upper, stack, job.seed, epochs, self.bench.untrained_loss(split)),
            objective=Objective.of(self.bench.spec, split),
        )
        result = trained.run(data, lambda measurement: None)
        best = [*lower, *upper.weights()]
        known = result.measurements[: result.best_epoch]
        if result.outcome != Outcome.COMPLETED:  # makes the run itself report the divergence
            known = (Measurement(1, float("nan"), float("nan"), float("nan")),)
        return Checkpoint(known, best, program.slots(), best)

    def _lower(self, job: Job, stack: Stack) -> list[np.ndarray]:
        """Return the weights of all hidden layers but the last, at the optimizer's usual rate."""
        usual = OPTIMIZERS[stack["optimizer"]].parameters[0].default
        stack = stack.but(optimizer__learning_rate=usual)
        key = (job.condition, stack.stack_id, job.seed, job.split, job.epochs)
        if self._kept[0] != key:
            self._kept = key, self._pretrained(job, stack)
        return self._kept[1][: 2 * (len(stack.units) - 1)]

    def _pretrained(self, job: Job, stack: Stack) -> list[np.ndarray]:
        """Train a whole network on the inputs or on a related task; return its weights."""
        bench, condition = self.bench, job.condition
        if condition.pretrained == AUTOENCODER:
            split, data = bench.split(job.split, replace(condition, labels=0, pretrained=""))
            standard = split.standardised()
            x, valid = tf.constant(standard.x_train), tf.constant(standard.x_valid)
            data = DeviceData(x, x, valid, valid)
            width, task, untrained = data.features, RECONSTRUCTION, 1.0
        else:
            related = replace(condition, classes=condition.other_classes, labels=0, pretrained="")
            split, data = bench.split(job.split, related)
            width, task = outputs(related, bench.spec.data.outputs), bench.spec.data.task
            untrained = bench.untrained_loss(split)
        program, _ = bench.program(stack, data, job.epochs, job.again, width, task)
        program.reset(stack, job.seed, data)
        Training(program, stack, job.seed, job.epochs, untrained).run(data, lambda measured: None)
        return program.weights()


def _through(layers: Any, x: np.ndarray) -> tf.Tensor:
    """Return the layers' outputs for inputs [N, D], in slices that bound the memory."""
    parts = range(0, len(x), EVALUATION_ROWS)
    return tf.concat([layers(tf.constant(x[k : k + EVALUATION_ROWS])) for k in parts], 0)
