"""What a tracker gets of a study's conclusion: figures, a sentence, the report and the model."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from sqlalchemy import Engine

from trainstack.search.artifacts import open_store
from trainstack.search.conclusion.recommendation import Recommendation
from trainstack.search.database.connection import artifacts
from trainstack.search.evidence.default_model import default_files
from trainstack.search.queue import queries
from trainstack.search.report.write import write_report
from trainstack.search.studies.conclusion import conclusion_of
from trainstack.spaces.errors import NothingToRecommend

# Artifacts of the measurement that belong to the model, and their names beside it.
MODEL = {"keras": "model.keras", "predict": "model.predict.py"}


def conclusion_files(
    engine: Engine, study: str, folder: Path
) -> tuple[dict[str, float], str, list[Path]]:
    """Write the report and the model of a concluded study into a folder.

    Returns:
        The recommendation's figures, its sentence, and the files; nothing for a study that has
        nothing to recommend.
    """
    try:
        conclusion = conclusion_of(engine, study)
    except NothingToRecommend as error:
        return {}, str(error), []
    files = write_report(folder, conclusion.spec, conclusion.found, conclusion.runs)
    kept = default_files(conclusion.spec, queries.measurement(engine, study))
    store = open_store(artifacts())
    for kind, name in MODEL.items():
        if kind not in kept:
            continue
        try:
            with store.read(kept[kind]) as source, (folder / name).open("wb") as copy:
                shutil.copyfileobj(source, copy)
        except OSError:
            continue  # written by a worker whose artifacts are not accessible here
        files.append(folder / name)
    return figures_of(conclusion.found), conclusion.found.sentence, files


def figures_of(found: Recommendation) -> dict[str, float]:
    """Return the means of a recommendation's scores, by part and figure."""
    scores = {"validation": found.validation, "test": found.test}
    scores |= {f"default_{part}": getattr(found.baseline, part) for part in tuple(scores)}
    named = {
        f"{part}_{what}": score.figure(what).mean
        for part, score in scores.items()
        for what in found.deciding.shown
    }
    return {name: mean for name, mean in named.items() if math.isfinite(mean)}
