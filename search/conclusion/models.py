"""The models that a study can export, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainstack.search.conclusion.scores import score_on_test
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.default_model import KINDS, default_model
from trainstack.search.evidence.estimates import Score
from trainstack.search.evidence.formatting import number
from trainstack.search.json_values import IF_ANY
from trainstack.search.metrics.conformal import COVERAGE
from trainstack.search.spec import StudySpec

NOT_MEASURED = "the test set has not been opened"


@dataclass(frozen=True)
class Calibration:
    """The calibration of a model's probabilities on validation rows, by temperature scaling.

    Attributes:
        temperature: Divisor of the logits; 1: none lowers the log loss.
        before: `log_loss` and `ece` without it.
        after: The same with it.
    """

    temperature: float
    before: Mapping[str, float]
    after: Mapping[str, float]


@dataclass(frozen=True)
class Model:
    """A model that can be exported.

    Attributes:
        test: Its scores on the test set, each of one value.
        latency_ms: Its time for one row, in milliseconds.
        parameters: Number of weights of its networks.
        networks: Number of its networks.
        rows: Number of rows that each was trained on.
        members: One row for each network: `stack_id`, `seed`, `epochs` (null: as long as the
            validation loss fell) and `weight` in the mean.
        validation: The metric that decides, before calibration, on rows that the networks behind it
            were not trained on: for the ensemble those of the search and one that other rows chose,
            for the others those of the confirmation's runs. Null if there are none.
        calibration: Its temperature, in classification, if there are such rows.
        coverage: Share of the test rows that its 90 % intervals hold, in regression, if there are
            such rows.
    """

    test: Score
    latency_ms: float
    parameters: int
    networks: int
    rows: int
    members: Sequence[Mapping[str, Any]]
    validation: float | None = None
    calibration: Calibration | None = field(default=None, metadata=IF_ANY)
    coverage: float | None = field(default=None, metadata=IF_ANY)


@dataclass(frozen=True)
class Models:
    """The models that can be exported.

    Attributes:
        single: The network of the first confirmation run; null: not made.
        refit: One network of the recommended stack, trained on all rows that are not for testing;
            null: not made.
        average: The mean of several of these with different seeds; null: not made.
        ensemble: The weighted mean of networks of several stacks, trained on the same rows; null:
            not made.
        default: The one that is exported if none is named; empty if there is none.
        reason: Reason for that, in a sentence.
        not_made: Model → reason why it is null.
    """

    single: Model | None
    refit: Model | None
    average: Model | None
    ensemble: Model | None
    default: str
    reason: str
    not_made: Mapping[str, str]

    def each(self) -> dict[str, Model]:
        """Return the models that were made, by kind."""
        found = {kind: getattr(self, kind) for kind in KINDS}
        return {kind: model for kind, model in found.items() if model is not None}


def models_of(spec: StudySpec, measured: Mapping[str, Any], deciding: Deciding) -> Models:
    """Return the models of a measurement.

    Args:
        spec: The study's specification.
        measured: The measurement's document; empty before it was taken.
        deciding: What decides the study.
    """
    documents = measured.get("models") or {}
    default, reason = default_model(spec, documents)
    made = {kind: _model(documents.get(kind) or {}, deciding) for kind in KINDS}
    missing = {
        kind: (documents.get(kind) or {}).get("left_out", NOT_MEASURED)
        for kind, model in made.items()
        if model is None
    }
    return Models(**made, default=default, reason=reason, not_made=missing)


def _model(document: Mapping[str, Any], deciding: Deciding) -> Model | None:
    if "test" not in document:
        return None
    calibration = document.get("calibration")
    members = [
        {name: row.get(name) for name in ("stack_id", "seed", "epochs", "weight")}
        for row in document["members"]
    ]
    return Model(
        test=score_on_test(document, deciding),
        latency_ms=document["latency_ms"],
        parameters=document["parameters"],
        networks=len(members),
        rows=document["rows"],
        members=members,
        validation=document.get("validation"),
        calibration=None if calibration is None else Calibration(**calibration),
        coverage=document.get("coverage"),
    )


def table(models: Models, deciding: Deciding) -> list[tuple[str, ...]]:
    """Return the models side by side: a heading, and one row for each; empty without models."""
    made = models.each()
    if not made:
        return []
    intervals = any(model.coverage is not None for model in made.values())
    held = [f"in {100 * COVERAGE:g} % interval"] if intervals else []
    shown = [f"test {what}" for what in deciding.shown]
    heading = ("model", *shown, *held, "ms per row", "weights")
    rows = [
        (
            kind,
            *(number(model.test.figure(what).mean, 4) for what in deciding.shown),
            *([_percent(model.coverage)] if intervals else []),
            number(model.latency_ms, 2),
            f"{model.parameters:,}",
        )
        for kind, model in made.items()
    ]
    return [heading, *rows]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def default_line(models: Models) -> str:
    """Return which model is exported by default, in a line; empty without models."""
    if not models.default:
        return ""
    missing = "".join(f" No {kind}: {why}." for kind, why in models.not_made.items())
    return f"`export` writes the {models.default} model. {models.reason}{missing}"
