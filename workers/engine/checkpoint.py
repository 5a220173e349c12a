"""A trial's checkpoint: what it takes to go on as if never interrupted.

Batch orders and masks are pure functions of seed and epoch, and the schedule's and early stopping's
memory follows from the curve; so weights, optimizer slots, best weights and the curve are all.
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

# How often a running trial is written down.
CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class Checkpoint:
    """A trial between two epochs.

    Attributes:
        measurements: Of every epoch so far.
        weights: The model's variables now.
        slots: The optimizer's variables now.
        best: The model's variables after the best epoch so far.
    """

    measurements: tuple[Measurement, ...]
    weights: list[np.ndarray]
    slots: list[np.ndarray]
    best: list[np.ndarray]


class Shelf:
    """The place of one trial's checkpoint in the artifact store.

    Args:
        artifacts: The store.
        name: Of the file.
        identity: What must be equal for a checkpoint to be of this very trial.
        every_seconds: How often at most to write it.
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
        """Tell whether it is time to write."""
        return time.monotonic() - self._written >= self.every_seconds

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint over the last one; where that cannot be, say so and go on."""
        self._written = time.monotonic()
        curve = [asdict(measured) for measured in checkpoint.measurements]
        said = json.dumps({"identity": self.identity, "measurements": curve})
        arrays = {"said": np.frombuffer(said.encode(), np.uint8)}
        for kind in ("weights", "slots", "best"):
            for place, array in enumerate(getattr(checkpoint, kind)):
                arrays[f"{kind}-{place}"] = array
        try:
            write_arrays(self.artifacts, self.name, arrays)
        except OSError as error:
            log.warning("no checkpoint in %s (%s): training goes on", self.artifacts, error)

    def load(self) -> Checkpoint | None:
        """Return the trial's checkpoint; None where there is none that can be read."""
        try:
            with (
                self.artifacts.read(self.name) as file,
                np.load(file, allow_pickle=False) as stored,
            ):
                said = json.loads(stored["said"].tobytes())
                if said["identity"] != self.identity:
                    return None
                return Checkpoint(
                    tuple(Measurement(**measured) for measured in said["measurements"]),
                    *(_arrays(stored, kind) for kind in ("weights", "slots", "best")),
                )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            log.warning("the checkpoint %s cannot be read (%s): from the start", self.name, error)
            return None

    def drop(self) -> None:
        """Throw the checkpoint away: the trial has ended."""
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
