"""What a network is made of: the interface of dense chains and networks of a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.streaming import StreamedData


@dataclass(frozen=True, eq=False)
class UsedKernel:
    """A kernel as a network uses it.

    Attributes:
        variable: Its variable.
        incoming: Axes over which the weights of one unit lie, from the end.
        gain: Number by which the layer multiplies it in use (1 but for NTK). Penalties and max-norm
            apply to this product.
    """

    variable: Any
    incoming: tuple[int, ...] = (-2,)
    gain: float = 1.0


class Architecture(Protocol):
    """One network as a Keras model, and what training has to know about its weights."""

    @property
    def model(self) -> keras.Model:
        """The network of rows [B, D]."""
        ...

    @property
    def learner(self) -> keras.Model:
        """The network of training steps: the same variables, perhaps in mixed precision."""
        ...

    @property
    def hidden(self) -> list[Any]:
        """Output of each hidden block."""
        ...

    @property
    def observed_kernels(self) -> list[Any]:
        """The variable of the kernel that makes each of the hidden outputs."""
        ...

    @property
    def hidden_kernels(self) -> list[UsedKernel]:
        """The kernels that penalties and max-norm apply to."""
        ...

    @property
    def kernels(self) -> list[UsedKernel]:
        """The same, and then the head's."""
        ...

    @property
    def numbers_a_row(self) -> int:
        """Numbers that the network computes for one row in its largest layer, about."""
        ...

    @property
    def pretrained(self) -> Sequence[Any]:
        """The trainable variables that are frozen first and then have a rate of their own."""
        ...

    def rate_keys(self) -> list[str | None]:
        """Return the key of the number that multiplies each trainable variable's rate, or None."""
        ...

    def completed(self, stack: Stack) -> Stack:
        """Return a stack with what the network chooses where the stack says nothing."""
        ...

    def draw(
        self, stack: Stack, seed: int, data: DeviceData | StreamedData | None, initializer: str
    ) -> None:
        """Give the model the fresh weights of a seed; its variables are as they were built.

        Args:
            stack: The run's stack, of this structure.
            seed: The seed.
            data: The split, to whose training rows some stacks fit their weights or bins.
            initializer: Name of another initializer of the hidden layers than the stack's; empty:
                the stack's.

        Raises:
            ValueError: The stack fits its weights, and there is no data.
        """
        ...
