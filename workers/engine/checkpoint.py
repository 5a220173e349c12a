"""A trial's checkpoint: the state needed to resume as if never interrupted.

Batch orders and masks are pure functions of seed and epoch, and the state of the schedule and of
early stopping follows from the curve. So weights, optimizer slots, best weights and the curve
suffice.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trainstack.search.artifacts import Store
from trainstack.search.records import Measurement

log = logging.getLogger("trainstack.trainer")

# Interval between checkpoints of a running trial.
CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class Checkpoint:
    """A trial's state between two epochs.

    Attributes:
        measurements: Measurements of all epochs so far.
        weights: Current variables of the model.
        slots: Current variables of the optimizer, then averages of the weights, if there are any.
        best: Variables of the model, averaged if there are averages, after the best epoch so far.
    """

    measurements: tuple[Measurement, ...]
    weights: list[np.ndarray]
    slots: list[np.ndarray]
    best: list[np.ndarray]


class Shelf:
    """The place of one trial's checkpoint in the artifact store.

    Args:
        artifacts: The store.
        name: Name of the file.
        identity: Values that must match for a checkpoint to belong to this trial.
        every_seconds: Minimum interval between two writes.
    """

    def __init__(
        self,
        artifacts: Store,
        name: str,
        identity: Mapping[str, Any],
        every_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self.artifacts, self.name, self.identity = artifacts, name, dict(identity)
        self.every_seconds = every_seconds
        self._written = time.monotonic()

    def due(self) -> bool:
        """Return whether the next checkpoint is due."""
        return time.monotonic() - self._written >= self.every_seconds

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint over the last one; only warn if that fails."""
        self._written = time.monotonic()
        curve = [asdict(measured) for measured in checkpoint.measurements]
        document = json.dumps({"identity": self.identity, "measurements": curve})
        arrays = {"said": np.frombuffer(document.encode(), np.uint8)}
        for kind in ("weights", "slots", "best"):
            for place, array in enumerate(getattr(checkpoint, kind)):
                arrays[f"{kind}-{place}"] = array
        try:
            write_arrays(self.artifacts, self.name, arrays)
        except OSError as error:
            log.warning("no checkpoint in %s (%s): training goes on", self.artifacts, error)

    def load(self) -> Checkpoint | None:
        """Return the trial's checkpoint, or None if there is none or it cannot be read."""
        try:
            with (
                self.artifacts.read(self.name) as file,
                np.load(file, allow_pickle=False) as stored,
            ):
                document = json.loads(stored["said"].tobytes())
                if document["identity"] != self.identity:
                    return None
                return Checkpoint(
                    tuple(Measurement(**measured) for measured in document["measurements"]),
                    *(_arrays(stored, kind) for kind in ("weights", "slots", "best")),
                )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            log.warning("the checkpoint %s cannot be read (%s): from the start", self.name, error)
            return None

    def drop(self) -> None:
        """Delete the checkpoint of a trial that has ended."""
        with contextlib.suppress(OSError):
            self.artifacts.remove(self.name)


def write_arrays(artifacts: Store, name: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays to a file of the artifact store.

    Raises:
        OSError: As `Store.write`.
    """
    artifacts.write(name, lambda file: np.savez(file, **dict[str, Any](arrays)))


def _arrays(stored: Any, kind: str) -> list[np.ndarray]:
    count = sum(name.startswith(f"{kind}-") for name in stored.files)
    return [stored[f"{kind}-{place}"] for place in range(count)]
