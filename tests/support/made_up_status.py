"""A study's status as tests of views make it up."""

from __future__ import annotations

from typing import Any

from trainstack.search.queue.status import Best, Budget, StudyStatus, WorkerStatus
from trainstack.search.records import OUTCOMES, SEARCH, Phase

NONE = {**dict.fromkeys(OUTCOMES, 0), "retried": 0}
WORKER = WorkerStatus("host-7-1", "host", "cpu", 1, "0", "training", 12, SEARCH, 0.1)


def status(**changes: Any) -> StudyStatus:
    """Return the status of a study in the middle of its search."""
    fields: dict[str, Any] = {
        "study": "digits",
        "state": "searching",
        "phase": Phase.SEARCHING,
        "budget": Budget(40, 40),
        "epochs": 30,
        "folds": 1,
        "repeats": 1,
        "metric": "log_loss",
        "objective": "loss",
        "counts": {**NONE, "completed": 8, "pruned": 3, "diverged": 1, "running": 1},
        "confirmation": NONE,
        "measurement": NONE,
        "best": Best(5, 0.25),
        "workers": (WORKER,),
        "timeout_seconds": None,
        "remaining_seconds": None,
        "created": "2026-01-01T12:00:00+00:00",
        "elapsed_seconds": 75.0,
        "concluded": False,
    }
    return StudyStatus(**{**fields, **changes})
