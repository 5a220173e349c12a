"""Faults with the product's own timeouts, which the tests of `tests/fleet` shorten.

    python -m benchmarks.faults

Runs real workers with canned training on a separate embedded PostgreSQL. Takes about seven minutes,
nearly all of it waiting. Gives the figures of docs/faults.md.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.scale import table
from tests.support.fleet import Fleet
from tests.support.postgres_server import Server
from trainstack.search.database import embedded_postgres
from trainstack.search.queue import history
from trainstack.search.queue.lease import LEASE_SECONDS
from trainstack.search.queue.maintenance import REQUEUE_SECONDS
from trainstack.search.queue.study_log import Attempt

KILL_SECONDS, AWAY_SECONDS = 4.0, 60.0


def storm(fleet: Fleet, _: Server) -> str:
    """Kill one of four workers every few seconds until forty trials are done."""
    fleet.create(trials=40, epochs=8)
    dice, kills = random.Random(0), 0
    crew = [fleet.join(epoch_seconds=0.5) for _ in range(4)]
    while fleet.status()["phase"] == "searching":
        time.sleep(KILL_SECONDS)
        victim = dice.randrange(4)
        crew[victim].kill()
        crew[victim] = fleet.join(epoch_seconds=0.5)
        kills += 1
    counts = fleet.concluded()["counts"]
    states = Counter(trial.state.name for trial in fleet.optuna().trials)
    tries = [len(_linked(fleet, trial)) for trial in fleet.trials()]
    return (
        f"{kills} kills; {counts['completed']} completed, {counts['failed']} failed; Optuna: "
        f"{dict(states)}; {sum(tries) - len(tries)} further attempts, each linked to its first"
    )


def _linked(fleet: Fleet, trial: dict) -> list[Attempt]:
    """Return a trial's attempts, numbered from the first without a gap."""
    attempts = history.attempts_at(fleet.engine, "s", trial["number"])
    assert [a.attempt for a in attempts] == list(range(1, trial["attempt"] + 1)), attempts
    return attempts


def unheard(fleet: Fleet, _: Server) -> str:
    """Kill a worker right after its claim, with the product's own lease and intervals."""
    fleet.create(trials=2, epochs=2)
    lease = f"--lease={LEASE_SECONDS}"
    first = fleet.join(lease, epoch_seconds=600)
    fleet.until(lambda status: status["counts"]["running"])
    first.kill()
    died = time.monotonic()
    fleet.join(lease, epoch_seconds=LEASE_SECONDS)
    fleet.until(lambda status: status["counts"]["waiting"])
    return f"waits again {time.monotonic() - died:.0f} s after the death"


def outage(fleet: Fleet, server: Server) -> str:
    """Kill PostgreSQL during training and restart it a minute later."""
    fleet.create(trials=4, epochs=90)
    crew = [fleet.join(epoch_seconds=1.0) for _ in range(2)]
    fleet.until(lambda _: sum(bool(trial["curve"]) for trial in fleet.trials()) == 2)
    server.crash()
    time.sleep(AWAY_SECONDS)
    server.restart()
    fleet.until(lambda status: status["counts"]["completed"] == 2)
    for worker in crew:  # two trials have survived; further ones would add nothing
        worker.kill()
    done = [trial for trial in fleet.trials() if trial["outcome"] == "completed"]
    whole = sum(len(t["curve"]) == 90 and None not in t["curve"] for t in done)
    return (
        f"{len(done)} of 2 trials under way completed, {sum(t['attempt'] > 1 for t in done)} "
        f"restarted, {whole} curves complete"
    )


FAULTS: dict[str, tuple[Callable[[Fleet, Server], str], str]] = {
    "4 workers, one SIGKILLed every 4 s": (storm, "40 counted, none RUNNING, retries linked"),
    "death between claim and first heartbeat": (
        unheard,
        f"given back within {LEASE_SECONDS:.0f} + {REQUEUE_SECONDS:.0f} s",
    ),
    "PostgreSQL killed and away for 60 s, leases of 3 s": (
        outage,
        "none lost or restarted, curves complete",
    ),
}


def measured(fault: str) -> list[str]:
    """Cause a fault and report the outcome."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "home" / "postgres")
        fleet = Fleet(server.url, Path(folder))
        run, asked = FAULTS[fault]
        try:
            return [fault, asked, run(fleet, server)]
        finally:
            fleet.close()
            embedded_postgres.release(server.data)


def main(chosen: list[str]) -> None:
    """Measure every fault whose name contains one of the given words; all by default."""
    names = [f for f in FAULTS if not chosen or any(word in f for word in chosen)]
    table(["fault", "asked", "found"], (measured(name) for name in names))


if __name__ == "__main__":
    main(sys.argv[1:])
