"""A study in MLflow: an experiment, with a run for the study and one below it for each trial.

A run is complete once it has ended and has the tag VERSION; another one is taken up again. What is
logged twice has the same time, step and value, and MLflow keeps it once.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from trainstack.search.records import Outcome
from trainstack.search.tracking.records import STUDY, TrackedRun, TrackedStudy

# Tags by which runs are found again.
CREATED, KEY, VERSION = "trainstack.created", "trainstack.key", "trainstack.version"
# Most entries of one request (MLflow's REST API): metrics, parameters.
METRICS, PARAMETERS = 1000, 100
# Seconds, and repetitions, after which a request fails; the mirror tries again later.
_SETTINGS = {
    **{"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"},
    **{"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"},
}
# State of a run that has not ended.
_RUNNING = "RUNNING"


class Mirror:
    """Mirrors a study to an MLflow server, or to what else MLflow's URI names.

    Args:
        uri: The tracking URI.
    """

    def __init__(self, uri: str) -> None:
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=uri)
        self._experiment, self._parent = "", ""
        self._runs: dict[str, str] = {}

    def open(self, study: TrackedStudy) -> dict[str, str]:
        """Find or create the experiment and the study's run; see `Tracker`."""
        self._experiment = self._found(study)
        known: dict[str, str] = {}
        self._runs = {}
        for run in self._all():
            tags = run.data.tags
            if (key := tags.get(KEY)) is not None:
                self._runs[key] = run.info.run_id
                ended = VERSION in tags and run.info.status != _RUNNING
                known |= {key: tags[VERSION]} if ended else {}
        self._parent = self._runs.get(STUDY) or self._made(STUDY, study.name, study.created)
        if STUDY not in known:
            self._log(self._parent, study.created, {}, study.parameters, {})
        return known

    def _found(self, study: TrackedStudy) -> str:
        """Return the experiment of a study; one of that name may be another study's."""
        for name in (study.name, f"{study.name} {study.stamp}"):
            there = self._client.get_experiment_by_name(name)
            if there is None:
                return self._client.create_experiment(name, tags={CREATED: study.stamp})
            if there.tags.get(CREATED) == study.stamp:
                return there.experiment_id
        raise ValueError(f"the experiment '{name}' is not this study's")

    def _all(self) -> Iterator[Any]:
        token: str | None = None
        while True:
            page = self._client.search_runs([self._experiment], page_token=token)
            yield from page
            if not (token := page.token):
                return

    def _made(self, key: str, name: str, began: datetime, **tags: str) -> str:
        run = self._client.create_run(
            self._experiment, start_time=_ms(began), run_name=name, tags={KEY: key, **tags}
        )
        self._runs[key] = run.info.run_id
        return run.info.run_id

    def add(self, run: TrackedRun) -> None:
        """Add a run below the study's, or bring it up to date."""
        tags = {"outcome": str(run.outcome), **run.tags, VERSION: run.version}
        if (found := self._runs.get(run.key)) is None:
            below = {"mlflow.parentRunId": self._parent}
            found = self._made(run.key, run.key, run.began, **below)
        else:
            self._client.update_run(found, status=_RUNNING)
        self._log(found, run.ended, run.figures, run.parameters, tags, run.points())
        failed = run.outcome in (Outcome.FAILED, Outcome.VOIDED)
        self._client.set_terminated(found, "FAILED" if failed else "FINISHED", _ms(run.ended))

    def conclude(
        self, version: str, figures: Mapping[str, float], words: str, files: Sequence[Path]
    ) -> None:
        """Add the conclusion to the study's run."""
        for path in files:
            kind = "model" if path.suffix in (".keras", ".joblib", ".py") else "report"
            self._client.log_artifact(self._parent, str(path), kind)
        ended = datetime.fromisoformat(version)
        tags = {"mlflow.note.content": words, VERSION: version}
        self._log(self._parent, ended, figures, {}, tags)
        self._client.set_terminated(self._parent, "FINISHED", _ms(ended))

    def _log(
        self,
        run: str,
        at: datetime,
        figures: Mapping[str, float],
        parameters: Mapping[str, str],
        tags: Mapping[str, str],
        points: Sequence[tuple[str, float, int]] = (),
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(name, value, _ms(at), 0) for name, value in figures.items()]
        metrics += [Metric(name, value, _ms(at), step) for name, value, step in points]
        params = [Param(name, value) for name, value in parameters.items()]
        named = [RunTag(name, value) for name, value in tags.items()]
        *others, (some, given) = itertools.zip_longest(
            _parts(metrics, METRICS), _parts(params, PARAMETERS), fillvalue=()
        )
        for part in others:
            self._client.log_batch(run, *part)
        self._client.log_batch(run, some, given, named)


def _parts(entries: list[Any], size: int) -> list[list[Any]]:
    """Return entries in parts of a size; one empty part if there are none."""
    return [entries[k : k + size] for k in range(0, max(1, len(entries)), size)]


def _ms(at: datetime) -> int:
    """Return a time in milliseconds since 1970."""
    return int(at.timestamp() * 1000)
