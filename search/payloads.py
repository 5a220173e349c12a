"""The input of a task besides its stack and its seed: one type for each kind of task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trainstack.search.conditions import PLAIN, Condition
from trainstack.search.records import CONFIRMATION, MEASUREMENT, REFIT, SEARCH
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class SearchPayload:
    """Input of a search trial.

    Attributes:
        given: Whether the stack was requested, not sampled. It is then trained even if an equal
            one was trained before.
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
    """Training of a network on all rows that are not for testing.

    Attributes:
        seed: Seed of weights, batch order and masks.
        epochs: Number of epochs.
        lowered_after: Epochs after which performance scheduling lowers the rate.
    """

    seed: int
    epochs: int
    lowered_after: tuple[int, ...] = ()

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Refit:
        """Read the document that `dataclasses.asdict` gives."""
        return cls(document["seed"], document["epochs"], tuple(document["lowered_after"]))


@dataclass(frozen=True)
class PoolMember:
    """A network that an ensemble may contain.

    Attributes:
        stack: Its stack.
        refit: How it is trained on all rows that are not for testing.
        predictions: Names in the artifact store of its stack's predictions for validation rows,
            each file of another part of them.
    """

    stack: Stack
    refit: Refit
    predictions: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the document that `from_json` reads."""
        return {
            "stack": self.stack.to_json(),
            "refit": asdict(self.refit),
            "predictions": list(self.predictions),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> PoolMember:
        """Read a document written by `to_json`."""
        stack, refit = Stack.from_json(document["stack"]), Refit.from_json(document["refit"])
        return cls(stack, refit, tuple(document["predictions"]))


@dataclass(frozen=True)
class MeasurementPayload:
    """Input of the measurement on the test set.

    Attributes:
        chosen: The recommended stack.
        baseline: The stack that it is compared with.
        runs: Stack id → seed index as text → artifacts of the confirmation run (name → path).
        refits: How the recommended stack is trained on all rows that are not for testing, one
            training for each network of the average; empty: such models are not wanted.
        pool: The networks that the ensemble may contain; empty: none is wanted.
    """

    chosen: Stack
    baseline: Stack
    runs: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    refits: tuple[Refit, ...] = ()
    pool: tuple[PoolMember, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the document that `from_json` reads."""
        return {
            "chosen": self.chosen.to_json(),
            "baseline": self.baseline.to_json(),
            "runs": {stack_id: dict(kept) for stack_id, kept in self.runs.items()},
            "refits": [asdict(refit) for refit in self.refits],
            "pool": [member.to_json() for member in self.pool],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> MeasurementPayload:
        """Read a document written by `to_json`."""
        chosen, baseline = (Stack.from_json(document[role]) for role in ("chosen", "baseline"))
        refits = tuple(Refit.from_json(row) for row in document.get("refits", ()))
        pool = tuple(PoolMember.from_json(row) for row in document.get("pool", ()))
        return cls(chosen, baseline, document["runs"], refits, pool)


@dataclass(frozen=True)
class RefitPayload:
    """Input of a training whose network the measurement needs for a model to export.

    Attributes:
        refit: The training.
    """

    refit: Refit

    def to_json(self) -> dict[str, Any]:
        """Return the document that `from_json` reads."""
        return asdict(self.refit)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RefitPayload:
        """Read a document written by `to_json`."""
        return cls(Refit.from_json(document))


Payload = SearchPayload | ConfirmationPayload | MeasurementPayload | RefitPayload
_TYPES: Mapping[str, type[Payload]] = {
    SEARCH: SearchPayload,
    CONFIRMATION: ConfirmationPayload,
    MEASUREMENT: MeasurementPayload,
    REFIT: RefitPayload,
}


def payload_of(kind: str, document: Mapping[str, Any]) -> Payload:
    """Read the payload of a task of a kind from its row."""
    return _TYPES[kind].from_json(document)
