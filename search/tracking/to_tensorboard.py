"""A study as TensorBoard's event files: a folder for each run, and its hyperparameters.

The file INDEX in the study's folder holds the version of each run that is complete.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainstack.search.artifact_names import folder_of
from trainstack.search.tracking.records import STUDY, TrackedRun, TrackedStudy

INDEX = "trainstack.json"


class Mirror:
    """Writes a study's event files below a folder.

    Args:
        folder: The folder; each study has a folder of its name in it.
    """

    def __init__(self, folder: str) -> None:
        self._root = Path(folder)
        self._folder, self._known = self._root, dict[str, str]()
        self._stamp = ""

    def open(self, study: TrackedStudy) -> dict[str, str]:
        """Create the study's folder, or read what it holds; see `Tracker`."""
        self._stamp = study.stamp
        name = folder_of(study.name)
        self._folder, document = self._root / name, _index(self._root / name)
        if document.get("study", study.stamp) != study.stamp:  # another study of that name
            self._folder = self._root / f"{name}-{_plain(study.stamp)}"
            document = _index(self._folder)
        self._known = dict(document.get("runs", {}))
        self._folder.mkdir(parents=True, exist_ok=True)
        return dict(self._known)

    def add(self, run: TrackedRun) -> None:
        """Write a run's folder anew."""
        from tensorboardX import SummaryWriter
        from tensorboardX.summary import hparams

        folder = self._folder / _plain(run.key)
        shutil.rmtree(folder, ignore_errors=True)
        at = run.ended.timestamp()
        with SummaryWriter(str(folder)) as writer:
            for name, value, epoch in run.points():
                writer.add_scalar(name, value, epoch, walltime=at)
            for name, value in run.figures.items():
                writer.add_scalar(f"result/{name}", value, 0, walltime=at)
            shown: dict[str, Any] = {"outcome": str(run.outcome), **run.parameters}
            assert writer.file_writer is not None
            for summary in hparams(shown, {"result/value": 0.0}):
                writer.file_writer.add_summary(summary, walltime=at)
        self._known[run.key] = run.version
        self._write()

    def conclude(
        self, version: str, figures: Mapping[str, float], words: str, files: Sequence[Path]
    ) -> None:
        """Write the conclusion's figures and sentence; copy the report and the model."""
        from tensorboardX import SummaryWriter

        folder = self._folder / "conclusion"
        shutil.rmtree(folder, ignore_errors=True)
        with SummaryWriter(str(folder)) as writer:
            writer.add_text("recommendation", words)
            for name, value in figures.items():
                writer.add_scalar(name, value, 0)
        for path in files:
            shutil.copy(path, folder / path.name)
        self._known[STUDY] = version
        self._write()

    def _write(self) -> None:
        text = json.dumps({"study": self._stamp, "runs": self._known}, indent=1)
        fresh = self._folder / f"{INDEX}.new"
        fresh.write_text(text, "utf-8")
        os.replace(fresh, self._folder / INDEX)


def _index(folder: Path) -> dict[str, Any]:
    """Return what a study's folder holds; empty if it is new."""
    path = folder / INDEX
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def _plain(text: str) -> str:
    """Return a text as a folder's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in text)
