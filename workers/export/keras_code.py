"""Models as plain, readable Keras code: the values of `templates/train.py.jinja`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainstack.search.data.generated_code import python_lines
from trainstack.search.data.splitting import LOG
from trainstack.search.data.target_log import FARTHEST
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.metrics import classes
from trainstack.search.metrics.losses import FOCUS
from trainstack.search.payloads import Refit
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.export.rendering import render, rendered
from trainstack.workers.export.stack_code import stack_values


def script(
    dataset: Any,
    spec: StudySpec,
    stack: Stack,
    seeds: Sequence[int],
    recorded: Mapping[str, Sequence[float]],
    refit: Refit | None = None,
    averaged: bool = False,
    temperature: float = 1.0,
) -> str:
    """Write the training script: data, preprocessing, network, training, test figures.

    Args:
        dataset: The loaded data, whose loading is printed as plain code.
        spec: The study's specification.
        stack: The recommended stack.
        seeds: Seeds that the script repeats.
        recorded: The recorded test figures, one for each seed, for comparison.
        refit: How the network is trained on all rows that are not for testing; None: with a
            validation part.
        averaged: Whether the model is the mean of the seeds' predictions.
        temperature: At which the model's probabilities are given; 1 changes nothing.

    Returns:
        A program that needs only Keras, TensorFlow, scikit-learn and NumPy (pandas for tables).
    """
    return render(
        "train.py.jinja",
        **_shared_values(dataset, spec, recorded, validation=refit is None),
        **stack_values(dataset, spec, stack, refit),
        seeds=list(seeds),
        averaged=averaged,
        temperature=temperature,
        members=(),
    )


def ensemble_script(
    dataset: Any,
    spec: StudySpec,
    members: Sequence[tuple[Stack, Refit, int]],
    recorded: Mapping[str, Sequence[float]],
    temperature: float = 1.0,
) -> str:
    """Write the script of a weighted mean of networks of several stacks.

    Args:
        dataset: The loaded data, whose loading is printed as plain code.
        spec: The study's specification.
        members: For each network its stack, how it is trained on all rows that are not for
            testing, and its weight in the mean; at least one.
        recorded: The recorded test figures, for comparison.
        temperature: As for `script`.

    Returns:
        As `script`.
    """
    shared = _shared_values(dataset, spec, recorded, validation=False)
    stacks = [stack_values(dataset, spec, stack, refit) for stack, refit, _ in members]
    # The rows without a target are loaded for all networks if one of them is pretrained on them.
    shared["unlabelled"] = any(values["unlabelled"] for values in stacks)
    shared |= {"averaged": True, "temperature": temperature, "seeds": ()}
    written = [
        {
            "code": rendered("member.py.jinja", **{**values, **shared}),
            "seed": refit.seed,
            "weight": weight,
        }
        for values, (_, refit, weight) in zip(stacks, members, strict=True)
    ]
    return render("train.py.jinja", **{**stacks[0], **shared}, members=written)


def _shared_values(
    dataset: Any, spec: StudySpec, recorded: Mapping[str, Sequence[float]], validation: bool
) -> dict[str, Any]:
    """Return what the templates say of the data and the question, whatever the stack."""
    loading = python_lines(dataset, validation=validation)
    imports = [line for line in loading if line.startswith(("import ", "from "))]
    shown = Deciding.of(spec).shown
    return {
        "classification": spec.data.task != "regression",
        "multilabel": bool(spec.data.labels),
        "several": "axis=0" if spec.data.targets else "",
        "log": spec.data.target_transform == LOG,
        "farthest": FARTHEST,
        "data_name": _data_name(spec),
        "recorded": {k: _figures(values) for k, values in recorded.items() if k in shown},
        "asked": None if _is_usual(dataset, spec) else spec.asked,
        "own_metric": spec.own_metric,
        "ece": classes.ece,
        "ece_bins": classes.ECE_BINS,
        "loss": spec.trained_on,
        "loss_function": spec.trained_on.label_keras if spec.data.labels else spec.trained_on.keras,
        "score_code": spec.asked.label_python if spec.data.labels else spec.asked.python,
        "focus": FOCUS,
        "row_weights": dataset.has_weights,
        "class_weight": spec.class_weight,
        "class_names": list(spec.data.classes),
        "data_imports": imports,
        "data_lines": [line for line in loading if line not in imports],
    }


def _is_usual(dataset: Any, spec: StudySpec) -> bool:
    """Return whether the loss decides and no row has a weight: then the script is shorter."""
    return spec.decided_by_loss and not (dataset.has_weights or spec.class_weight)


def _data_name(spec: StudySpec) -> str:
    """Return the name of the data for a docstring."""
    name = spec.data.source.rsplit("/", 1)[-1]
    plain = name.isprintable() and len(name) <= 50 and not {*name} & {*'"\\'}
    return name if plain else "your data"


def _figures(values: Sequence[float]) -> str:
    shown = ", ".join(f"{value:.4f}" for value in values[:5])
    return f"{shown}, …" if values[5:] else shown
