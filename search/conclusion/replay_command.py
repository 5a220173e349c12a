"""The command line that trains a recommended stack again."""

from __future__ import annotations

import json
import shlex

from trainstack.search.data_spec import DataSpec
from trainstack.search.evidence.candidates import Candidate
from trainstack.search.spec import StudySpec


def replay_command(spec: StudySpec, candidate: Candidate | None) -> str:
    """Return the command that trains the stack again; `launch` for one that was not searched."""
    study = shlex.quote(spec.study)
    if candidate is not None and candidate.number is not None:
        return f"trainstack replay {study} {candidate.number}"
    return (
        f"trainstack export {study} --format json -o stack.json && trainstack launch "
        f"{shlex.quote(spec.data.source)}{_data_flags(spec.data)}{_question_flags(spec)} "
        f"--stacks stack.json{_fold_flags(spec)} --study {shlex.quote(f'{spec.study}-again')}"
    )


def _data_flags(data: DataSpec) -> str:
    """Return the flags that say what to predict and how rows become parts, for tables."""
    from trainstack.search.data.several_targets import as_flag

    if data.target is None:
        return ""
    log = "" if data.target_transform == "none" else f" --target-transform {data.target_transform}"
    said = [
        f"--{flag} {shlex.quote(name)}" for flag, names in data.overrules.items() for name in names
    ]
    said += [f"--{flag} {shlex.quote(value)}" for flag, value in data.split.items()]
    said += ["--unlabelled keep"] if data.unlabelled else []
    return " ".join(
        ("", f"--target {shlex.quote(as_flag(data.target))} --task {data.task}{log}", *said)
    )


def _question_flags(spec: StudySpec) -> str:
    """Return the flags that say what decides, and what the network is trained on."""
    own, classes = spec.own_metric, spec.class_weight
    asked = {
        "metric": f"{own.file}:{own.function}" if own else spec.metric,
        "loss": spec.loss,
        "weight": spec.data.weight or "",
        "reuse": spec.reused.file if spec.reused else "",
        "class-weight": classes if isinstance(classes, str) else json.dumps(dict(classes)),
    }
    return "".join(f" --{flag} {shlex.quote(value)}" for flag, value in asked.items() if value)


def _fold_flags(spec: StudySpec) -> str:
    """Return the flags about folds; 1 is said too, as the default may be another number."""
    repeats = f" --repeats {spec.repeats}" if spec.repeats > 1 else ""
    return f" --folds {spec.folds}{repeats}"
