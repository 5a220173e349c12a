"""Which of a study's models is exported if none is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainstack.search.evidence.constraints import read_all
from trainstack.search.spec import StudySpec
from trainstack.spaces.profiles import PROFILES

# The models, from the simplest to the one of most networks.
SINGLE, REFIT, AVERAGE, ENSEMBLE = KINDS = ("single", "refit", "average", "ensemble")


def default_model(spec: StudySpec, models: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """Return the kind of the model that is exported by default, and the reason in a sentence.

    Only models that keep the study's constraints are considered, and only one network for a
    profile of quick answers or few weights. Of average and ensemble the one with the better
    validation metric counts where both have one, for the same rows; else the average comes first,
    then the refit. Test figures are never used.

    Args:
        spec: The study's specification.
        models: The documents of a measurement, by kind.

    Returns:
        Two empty texts if there is no model.
    """
    made = {kind: models[kind] for kind in KINDS if "test" in models.get(kind, {})}
    bounds = read_all(spec.constraints)
    fitting = [
        kind
        for kind, model in made.items()
        if all((bound.violation(_figures(model)) or 0.0) <= 0.0 for bound in bounds)
    ]
    if not fitting:
        return (SINGLE, "No other model keeps the bounds.") if SINGLE in made else ("", "")
    beyond = [kind for kind in made if kind not in fitting]
    note = f" Out of bounds: {', '.join(beyond)}." if beyond else ""
    if PROFILES[spec.profile].spares:
        kind = REFIT if REFIT in fitting else fitting[0]
        return kind, f"Profile {spec.profile} takes a single network.{note}"
    scores: dict[str, float] = {
        kind: spec.asked.objective(made[kind]["validation"])
        for kind in (AVERAGE, ENSEMBLE)
        if kind in fitting and made[kind].get("validation") is not None
    }
    if len(scores) == 2:
        kind = min(scores, key=lambda kind: scores[kind])
        return (
            kind,
            f"It has the better validation {spec.asked.name} of average and ensemble.{note}",
        )
    for kind, reason in _REASONS.items():
        if kind in fitting:
            return kind, reason + note
    return fitting[0], f"It is the only one.{note}"


def default_files(spec: StudySpec, measured: Mapping[str, Any] | None) -> Mapping[str, str]:
    """Return the names in the artifact store of the default model's files, by kind.

    Args:
        spec: The study's specification.
        measured: The measurement's document; None before there is one.

    Returns:
        Nothing if no model was written.
    """
    models = (measured or {}).get("models", {})
    written = {kind: model for kind, model in models.items() if model.get("artifacts")}
    kind, _ = default_model(spec, written)
    return written[kind]["artifacts"] if kind else {}


# In order of preference where validation metrics do not decide.
_REASONS = {
    AVERAGE: "A mean of several seeds errs less than one of them on most data.",
    REFIT: "More rows to learn from help on most data.",
    SINGLE: "It is the network that was confirmed.",
}


def _figures(model: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(model[name]) for name in ("parameters", "latency_ms")}
