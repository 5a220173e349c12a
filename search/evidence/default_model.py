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
    profile of quick answers or few weights. Otherwise it is the ensemble, if it has at least as
    many networks as the average; else the average, then the refit. Neither test figures nor
    validation metrics are used: on as few rows as are held out they tell two such models apart by
    chance (decision 0095).

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
    count = {kind: len(made[kind]["members"]) for kind in fitting}
    few = count.get(ENSEMBLE, 0) < count.get(AVERAGE, 1)
    kind = min(fitting, key=lambda kind: (few and kind == ENSEMBLE, [*_REASONS].index(kind)))
    return kind, _REASONS[kind] + note


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


# In order of preference.
_REASONS = {
    ENSEMBLE: "Networks of several stacks together err less than those of one on most data.",
    AVERAGE: "A mean of several seeds errs less than one of them on most data.",
    REFIT: "More rows to learn from help on most data.",
    SINGLE: "It is the network that was confirmed.",
}


def _figures(model: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures that constraints bound; without those that are not known."""
    named = ((name, model.get(name)) for name in ("parameters", "latency_ms"))
    return {name: float(value) for name, value in named if value is not None}
