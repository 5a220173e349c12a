"""The flag `--on`, which names the engine that places the workers, and its companions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from trainstack.search.ray.placement import OnRay

if TYPE_CHECKING:
    from trainstack.search.cli.ray_workers import RayWorkers

On = Annotated[
    str | None,
    typer.Option(help="Where workers run: ray or ray=ADDRESS; default: this machine."),
]
CpusPerWorker = Annotated[float | None, typer.Option(help="With --on: CPUs per worker; default 1.")]
GpusPerWorker = Annotated[
    float | None, typer.Option(help="With --on: GPUs per worker, 0 to 1; default 0.")
]


def reach_engine(place: OnRay, storage: str | None) -> RayWorkers:
    """Connect to the engine that places workers, before anything is created."""
    from trainstack.search.cli.ray_workers import RayWorkers
    from trainstack.search.database.connection import STORAGE
    from trainstack.search.ray.placement import is_embedded

    return RayWorkers.connect(place, is_embedded(storage or os.environ.get(STORAGE)))
