"""The input of a task besides its stack and its seed: one type for each kind of task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trainstack.search.conditions import PLAIN, Condition
from trainstack.search.records import CONFIRMATION, MEASUREMENT, SEARCH
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class SearchPayload:
    """Input of a search trial.

    Attributes:
        given: Whether the stack was requested, not sampled. It is then trained even if an equal
            one was trained before, and it is never pruned.
        parameters: The stack in the space's parameters, as a sampler proposes them; None before
            it is drawn, and if the stack is outside the space.
    """

    given: bool = False
    parameters: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the document that `from_json` reads."""
        parameters = None if self.parameters is None else dict(self.parameters)
        return {"given": self.given, "parameters": parameters}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> SearchPayload:
        """Read a document written by `to_json`."""
        return cls(**document)


@dataclass(frozen=True)
class ConfirmationPayload:
    """Input of a confirmation run.

    Attributes:
        condition: Changes by an experiment for claims.
    """

    condition: Condition = PLAIN

    def to_json(self) -> dict[str, Any]:
        """Return the document that `from_json` reads."""
        return {"condition": self.condition.to_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ConfirmationPayload:
        """Read a document written by `to_json`."""
        return cls(Condition.from_json(document["condition"]))


@dataclass(frozen=True)
class Refit:
    """Training of the exported model on all rows that are not for testing.

    Attributes:
        seed: Seed of weights, batch order and masks.
        epochs: Number of epochs.
        lowered_after: Epochs after which performance scheduling lowers the rate.
    """

    seed: int
    epochs: int
    lowered_after: tuple[int, ...] = ()


@dataclass(frozen=True)
class MeasurementPayload:
    """Input of the measurement on the test set.

    Attributes:
        chosen: The recommended stack.
        baseline: The stack that it is compared with.
        runs: Stack id → seed index as text → artifacts of the confirmation run (name → path).
        refit: How the exported model is trained; None: it is that of the first confirmation run.
    """

    chosen: Stack
    baseline: Stack
    runs: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    refit: Refit | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the document that `from_json` reads."""
        return {
            "chosen": self.chosen.to_json(),
            "baseline": self.baseline.to_json(),
            "runs": {stack_id: dict(kept) for stack_id, kept in self.runs.items()},
            "refit": None if self.refit is None else asdict(self.refit),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> MeasurementPayload:
        """Read a document written by `to_json`."""
        chosen, baseline = (Stack.from_json(document[role]) for role in ("chosen", "baseline"))
        asked = document.get("refit")
        refit = None
        if asked is not None:
            refit = Refit(asked["seed"], asked["epochs"], tuple(asked["lowered_after"]))
        return cls(chosen, baseline, document["runs"], refit)


Payload = SearchPayload | ConfirmationPayload | MeasurementPayload
_TYPES: Mapping[str, type[Payload]] = {
    SEARCH: SearchPayload,
    CONFIRMATION: ConfirmationPayload,
    MEASUREMENT: MeasurementPayload,
}


def payload_of(kind: str, document: Mapping[str, Any]) -> Payload:
    """Read the payload of a task of a kind from its row."""
    return _TYPES[kind].from_json(document)
