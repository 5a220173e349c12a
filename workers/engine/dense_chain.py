"""The stack's own network: a chain of dense layers, and what stands before its first one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import keras
import numpy as np

from trainstack.spaces.stack import Stack
from trainstack.workers.engine import category_embeddings, initial_weights
from trainstack.workers.engine.architecture import UsedKernel
from trainstack.workers.engine.build import rated, training_model
from trainstack.workers.engine.device_data import DeviceData, even_steps
from trainstack.workers.engine.embeddings import BIN_ROWS, components, set_fresh
from trainstack.workers.engine.layers import Context, MemberHead, gain_of
from trainstack.workers.engine.model_plan import plan
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.structure import Structure


class DenseChain:
    """A chain of dense layers, as `trainstack.workers.engine.architecture.Architecture`.

    Attributes:
        model: The network of rows [B, D].
        learner: The same in the structure's precision.
        hidden: Output of each hidden block.
        dense: The dense layers, the head last.
        kernels: Their kernels.
        embedding: The layers of the embedding of numbers, two or none.
    """

    def __init__(self, structure: Structure, stack: Stack, context: Context) -> None:
        self._structure, self._stack = structure, stack
        shape = (stack, structure.inputs, structure.outputs, context)
        self.model, self.hidden = training_model(*shape)
        # Measurements and exports use float32; mixed precision applies to training steps only.
        self.learner = self.model
        if structure.precision == "mixed":
            self.learner, _ = training_model(*shape, policy="mixed_bfloat16")
        self.dense: list[Any] = [
            each for each in self.model.layers if isinstance(each, keras.layers.Dense | MemberHead)
        ]
        self.kernels = [UsedKernel(layer.kernel, gain=gain_of(layer)) for layer in self.dense]
        self.embedding = [
            each
            for each in self.model.layers
            if isinstance(each, keras.layers.EinsumDense) and each.name in ("components", "mixture")
        ]

    @property
    def gains(self) -> list[float]:
        """Numbers by which the dense layers multiply their kernels in use."""
        return [kernel.gain for kernel in self.kernels]

    @property
    def hidden_kernels(self) -> list[UsedKernel]:
        """All of them but the head's."""
        return self.kernels[:-1]

    @property
    def observed_kernels(self) -> list[Any]:
        """The kernel that makes each of the hidden outputs."""
        return [kernel.variable for kernel in self.hidden_kernels]

    @property
    def numbers_a_row(self) -> int:
        """Components of embedded numbers of a row."""
        return self._structure.inputs.numbers * components(self._stack)

    @property
    def pretrained(self) -> list[Any]:
        """The trainable variables of the pretrained lower layers, and of all before them."""
        if self._stack["pretraining"] == "none":
            return []
        highest = self.hidden[: self._stack["pretraining.layers"]][-1]
        return keras.Model(self.model.input, highest).trainable_variables

    @property
    def stages(self) -> list[keras.Model]:
        """The network in parts: from its input to the first dense layer's, from there to the next
        one's, and so on."""
        ends = [self.model.input, *(layer.input for layer in self.dense)]
        return [keras.Model(*pair) for pair in pairwise(ends)]

    def rate_keys(self) -> list[str | None]:
        """Return the key of the number that multiplies each trainable variable's rate, or None."""
        network = plan(self._stack, self._structure.inputs, self._structure.outputs)
        return rated(self.model, network)

    def completed(self, stack: Stack) -> Stack:
        """Return the stack, which says everything."""
        return stack

    def draw(
        self, stack: Stack, seed: int, data: DeviceData | StreamedData | None, initializer: str
    ) -> None:
        """Give the model the fresh weights of a seed; see `Architecture.draw`."""
        network = plan(stack, self._structure.inputs, self._structure.outputs)
        nodes = [node for node in network.nodes if node.role in ("dense", "head")]
        initial_weights.set_kernels(self, nodes, seed, initializer)
        if self.embedding:
            rng = np.random.default_rng([seed, 5])
            set_fresh(self.embedding, stack, rng, self._numbers(stack, data))
        category_embeddings.set_fresh(self.model, seed)
        initial_weights.set_signs(self.model, seed)
        initial_weights.fit(self, stack, seed, data)

    def _numbers(self, stack: Stack, data: DeviceData | StreamedData | None) -> np.ndarray | None:
        """Return the numbers of training rows, [N, numbers], if the embedding has bins."""
        if stack["embedding"] != "piecewise":
            return None
        if data is None:
            raise ValueError("the bins of this stack need training rows")
        rows = even_steps(data.rows[0], BIN_ROWS)
        return np.asarray(data.inputs(rows))[:, : self._structure.inputs.numbers]
