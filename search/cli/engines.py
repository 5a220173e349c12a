"""The flags of `--on`, which say what engine places the workers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from search.onray.place import OnRay

if TYPE_CHECKING:
    from search.cli.onray import RayWorkers

On = Annotated[
    str | None,
    typer.Option(help="Who places the workers: ray or ray=ADDRESS; default: this machine."),
]
CpusPerWorker = Annotated[float | None, typer.Option(help="With --on: of each worker; default 1.")]
GpusPerWorker = Annotated[
    float | None, typer.Option(help="With --on: of each worker, 0 to 1; default 0.")
]


def reach_engine(place: OnRay, storage: str | None) -> RayWorkers:
    """Reach the engine that is to place workers, before anything is created."""
    from search.cli.onray import RayWorkers
    from search.fleet.connect import STORAGE
    from search.onray.place import is_embedded

    return RayWorkers.connect(place, is_embedded(storage or os.environ.get(STORAGE)))
