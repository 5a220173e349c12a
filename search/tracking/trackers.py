"""The table of trackers, and what each of them can do. To add one, add a row."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trainstack.search.tracking.records import TrackedRun, TrackedStudy
from trainstack.spaces.errors import RequestError, nearest

# A user and a password in a URI.
_SECRET = re.compile(r"//[^/@\s]*@")


class Tracker(Protocol):
    """Mirrors one study. Every method may raise any error where the tracker is away."""

    def open(self, study: TrackedStudy) -> dict[str, str]:
        """Begin or go on with a study; return the version of each run that is there, by key.

        That of the conclusion has the key STUDY.
        """
        ...

    def add(self, run: TrackedRun) -> None:
        """Add a run, or bring it up to date."""
        ...

    def conclude(
        self, version: str, figures: Mapping[str, float], words: str, files: Sequence[Path]
    ) -> None:
        """Add the study's conclusion: its figures, one sentence, the report and the model."""
        ...


@dataclass(frozen=True)
class TrackerKind:
    """A row of the table.

    Attributes:
        module: Module that defines `Mirror`, made with the place.
        package: The package that it needs.
        place: What stands after the equals sign.
        variable: Environment variable that gives the place if none is given; empty: none.
    """

    module: str
    package: str
    place: str
    variable: str = ""


TRACKERS: dict[str, TrackerKind] = {
    "mlflow": TrackerKind(
        *("trainstack.search.tracking.to_mlflow", "mlflow", "URI"), variable="MLFLOW_TRACKING_URI"
    ),
    "tensorboard": TrackerKind(
        *("trainstack.search.tracking.to_tensorboard", "tensorboardX", "DIR"),
    ),
}


@dataclass(frozen=True)
class Tracked:
    """A tracker and its place, as `--track` names them.

    Attributes:
        kind: Name in the table.
        place: A URI or a folder.
    """

    kind: str
    place: str

    @property
    def flag(self) -> str:
        """The flag's value; a password in it is hidden."""
        return without_secret(f"{self.kind}={self.place}")

    def opened(self) -> Tracker:
        """Return the tracker."""
        made: Tracker = importlib.import_module(TRACKERS[self.kind].module).Mirror(self.place)
        return made


def without_secret(text: str) -> str:
    """Return a text without the users and passwords of URIs.

    >>> without_secret("http://me:secret@there:5000 does not answer")
    'http://…@there:5000 does not answer'
    """
    return _SECRET.sub("//…@", text)


def read_tracker(text: str, environment: Mapping[str, Any]) -> Tracked:
    """Read a value of `--track`.

    Args:
        text: `mlflow`, `mlflow=URI` or `tensorboard=DIR`.
        environment: The environment's variables.

    Raises:
        RequestError: There is no such tracker, its place is missing, or its package is.

    >>> read_tracker("tensorboard=runs", {}).kind
    'tensorboard'
    """
    name, _, place = text.partition("=")
    if name not in TRACKERS:
        raise RequestError(
            f"--track {name!r} is not known",
            "mlflow[=URI] or tensorboard=DIR",
            nearest(name, [*TRACKERS]),
        )
    kind = TRACKERS[name]
    place = place or environment.get(kind.variable, "")
    if not place:
        also = f", or {kind.variable} in the environment" if kind.variable else ""
        raise RequestError(f"--track {name} names no place", f"{name}={kind.place}{also}")
    if importlib.util.find_spec(kind.package) is None:
        raise RequestError(
            f"--track {name} needs the package {kind.package}",
            "an environment that has it",
            f"pip install 'trainstack[{name}]'",
        )
    if name == "tensorboard":
        place = str(Path(place).expanduser().absolute())
    return Tracked(name, place)
