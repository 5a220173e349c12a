"""The flags of `--on`, which say what engine places the workers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from trainstack.search.ray.placement import OnRay

if TYPE_CHECKING:
    from trainstack.search.cli.ray_workers import RayWorkers

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
    from trainstack.search.cli.ray_workers import RayWorkers
    from trainstack.search.database.connection import STORAGE
    from trainstack.search.ray.placement import is_embedded

    return RayWorkers.connect(place, is_embedded(storage or os.environ.get(STORAGE)))
