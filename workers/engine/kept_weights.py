"""Weights of a network that are kept in the artifact store."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Sequence

import numpy as np

from trainstack.search.artifacts import Store
from trainstack.workers.engine.checkpoint import write_arrays

log = logging.getLogger("trainstack.trainer")


def write_weights(store: Store, name: str, weights: Sequence[np.ndarray]) -> bool:
    """Write weights to a file of the store; return whether it was written.

    A failed write is only a warning: the weights are trained again when needed.
    """
    try:
        write_arrays(store, name, {f"arr_{k}": array for k, array in enumerate(weights)})
    except OSError as error:
        log.warning("weights not kept in %s (%s)", store, error)
        return False
    return True


def read_weights(store: Store, name: str) -> list[np.ndarray] | None:
    """Return the weights in a file of the store, or None if they cannot be read here."""
    if not name:
        return None
    try:
        with store.read(name) as file, np.load(file, allow_pickle=False) as stored:
            return [stored[array] for array in stored.files]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        log.warning("the weights %s cannot be read (%s): trained again", name, error)
        return None
