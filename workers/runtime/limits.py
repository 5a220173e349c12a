"""The supervisor's intervals and timeouts, and the limits at which a worker stops."""

from __future__ import annotations

from dataclasses import dataclass

# Interval at which measurements are written, and at which an idle loop runs.
TICK_SECONDS = 1.0
# First and longest delay between requests for work, from the third request on.
IDLE_SECONDS, MOST_IDLE_SECONDS = 0.25, 1.0
# A trainer counts as hung after this time without a message, or after this many of its own epochs
# if that is longer.
STALL_SECONDS = 600.0
STALL_EPOCHS = 20
# Time for which the database may be unavailable before the worker gives up.
AWAY_SECONDS = 1800.0
# After this many different trials fail in a row, the worker itself counts as faulty.
MOST_FAILURES_IN_A_ROW = 3
# Part of the drain time reserved for ending the epoch and writing a checkpoint.
CHECKPOINT_SECONDS = 5.0


@dataclass
class Limits:
    """Limits at which a worker stops.

    Attributes:
        most_trials: Number of trials after which to leave; None: no limit.
        drain_seconds: Time that the running trial has to finish after SIGTERM.
        stall_seconds: Time without a message after which a trainer counts as hung.
        away_seconds: Time for which the database may be unavailable.
    """

    most_trials: int | None = None
    drain_seconds: float = 20.0
    stall_seconds: float = STALL_SECONDS
    away_seconds: float = AWAY_SECONDS
