"""The supervisor's times: how often, how long, and when a worker stops by itself."""

from __future__ import annotations

from dataclasses import dataclass

# How often measurements are written, and the loop turns when nothing happens.
TICK_SECONDS = 1.0
# How long to wait before asking a third time for work when there is none, and in the end.
IDLE_SECONDS, MOST_IDLE_SECONDS = 0.25, 1.0
# A trainer that has said nothing for so long hangs: at least this, and many of its own epochs.
STALL_SECONDS = 600.0
STALL_EPOCHS = 20
# How long the database may be away before the worker gives up.
AWAY_SECONDS = 1800.0
# A worker on which this many different trials failed in a row is itself what is broken.
MOST_FAILURES_IN_A_ROW = 3
# Of the time to leave, so much is for ending the epoch and writing a checkpoint.
CHECKPOINT_SECONDS = 5.0


@dataclass
class Limits:
    """When a worker stops by itself.

    Attributes:
        most_trials: Leave after this many trials; None: never.
        drain_seconds: After SIGTERM, how long the running trial may take to finish.
        stall_seconds: Silence after which a trainer is taken for hung.
        away_seconds: How long the database may be away.
    """

    most_trials: int | None = None
    drain_seconds: float = 20.0
    stall_seconds: float = STALL_SECONDS
    away_seconds: float = AWAY_SECONDS
