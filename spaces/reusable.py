"""Hidden layers of a saved model that networks may start with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.axes import PLAIN_LAYERS
from trainstack.spaces.choices import Call
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class Reusable:
    """The hidden dense layers of a saved model, first to last.

    Attributes:
        units: Their widths.
        activation: Their activation, one that Keras knows by its name alone.
    """

    units: tuple[int, ...]
    activation: str

    @property
    def fixed(self) -> dict[str, str]:
        """The choices of a network that starts with such layers, besides its widths."""
        usual = ACTIVATIONS[self.activation].initializers[0]
        return {**PLAIN_LAYERS, "activation": self.activation, "initializer": usual}

    def first(self) -> Stack:
        """Return the chapter's default with all of these layers."""
        from trainstack.spaces.stack import Stack

        return Stack.of(
            units=list(self.units),
            activation=self.activation,
            pretraining="reuse",
            pretraining__layers=len(self.units),
        )

    def fits(self, stack: Stack) -> bool:
        """Return whether a stack's reused layers are the first of these; true without any."""
        if stack["pretraining"] != "reuse":
            return True
        count = stack["pretraining.layers"]
        same = stack.units[:count] == self.units[:count] and count <= len(self.units)
        return same and stack["activation"] == self.activation

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `from_json` reads back."""
        return {**asdict(self), "units": list(self.units)}

    @classmethod
    def from_json(cls, document: Any) -> Reusable:
        """Read what `to_json` wrote.

        Raises:
            RequestError: It is no description of layers.
        """
        from trainstack.spaces.stack import Stack

        if not isinstance(document, Mapping) or set(document) != {"units", "activation"}:
            raise RequestError(f"reused is {document!r}", "units and activation of a saved model")
        if document["activation"] not in by_name():
            raise RequestError(f"reused.activation is {document['activation']!r}", "its name")
        return cls(Stack.of(units=document["units"]).units, document["activation"])


def by_name() -> tuple[str, ...]:
    """Return the activations that Keras knows by their name alone."""
    calls = {name: row.call for name, row in ACTIVATIONS.items()}
    return tuple(n for n, call in calls.items() if _named(call))


def _named(call: Call | None) -> bool:
    return call is not None and call.path == "layers.Activation" and not call.numbers
