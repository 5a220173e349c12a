"""Operations that were carried out on a study, and the leases that they use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trainstack.search.queue.lease import Lease
from trainstack.search.studies.worker_client import WorkerClient


@dataclass(frozen=True)
class Held:
    """A lease as the worker that claimed it remembers it, perhaps for too long."""

    line: int
    client: WorkerClient
    lease: Lease


@dataclass(frozen=True)
class Did:
    """An operation: its name, what it answered, and when.

    Attributes:
        name: Name of the method of `World`.
        fault: Where the worker lost the database; empty: it did not.
        reply: What it returned; an exception if it raised one.
        lease: The lease that it used or got.
        worker_id: The worker.
        argument: What else it was given.
        undone: Token of a task that the worker is to give back, as its claim was cut off.
    """

    name: str
    fault: str
    reply: Any
    lease: Lease | None
    worker_id: int | None
    argument: Any
    undone: str | None
