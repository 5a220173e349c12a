"""What the copy in Optuna's storage costs, how far it is behind, and a worker's own statements.

    python -m benchmarks.exporting

prints the figures of docs/scale.md about them in about a minute. Nothing is trained.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from sqlalchemy import Engine, event, func, select

from benchmarks.scale import database, open_client, spec_of, table, work
from trainstack.search.database.connection import engine
from trainstack.search.database.schema import tasks
from trainstack.search.records import Measurement, Result, Status
from trainstack.search.sampling.optuna_export import BATCH, Exporting, OptunaExport
from trainstack.search.studies.actions import create_study

TRIALS = 200
TRIALS_PER_SECOND = 5
HEAD = ["export of", "ms", "CPU, ms"]


def export() -> Iterator[list[str]]:
    """Yield the cost of exporting a trial in each state."""
    with database() as url:
        create_study(url, spec_of("random", "none"), first=())
        here, exporting = open_client(url), OptunaExport(engine(url), "scale")
        exporting.finish()
        for _ in range(TRIALS):
            work(here)
        yield _exported("a trial that has ended", exporting, TRIALS)
        leases = [lease for _ in range(BATCH) if (lease := here.claim()) is not None]
        yield _exported("a trial that has begun", exporting, BATCH)
        for lease in leases:
            here.report(lease, [Measurement(1, 1.0, 1.0, 0.5)])
        yield _exported("a loss of a running trial", exporting, BATCH)
        for lease in leases:
            here.finish(lease, Result("completed", 0.5, 1))
        yield _exported("the end of a running trial", exporting, BATCH)
        here.leave()


def _exported(what: str, exporting: OptunaExport, count: int) -> list[str]:
    """Export what is pending; return its time and its processor time per trial, in milliseconds."""
    before, began = time.process_time(), time.perf_counter()
    exporting.finish()
    took = (time.perf_counter() - began, time.process_time() - before)
    return [what, *(f"{1000 * seconds / count:.1f}" for seconds in took)]


def lag() -> str:
    """Return the age of the oldest trial that is not exported, while trials end at a fixed rate."""
    with database() as url:
        create_study(url, spec_of("random", "none"), first=())
        here, root, ages = open_client(url), engine(url), list[float]()
        oldest = func.clock_timestamp() - func.min(tasks.c.finished_at)
        query = select(func.extract("epoch", oldest))
        query = query.where(tasks.c.status == Status.DONE, ~tasks.c.exported)
        with Exporting(root, "scale"):
            began = time.monotonic()
            for count in range(1, TRIALS + 1):
                work(here)
                time.sleep(max(0.0, began + count / TRIALS_PER_SECOND - time.monotonic()))
                with root.connect() as connection:
                    ages.append(float(connection.scalar(query) or 0.0))
        here.leave()
    return f"median {statistics.median(ages):.1f} s, at most {max(ages):.1f} s"


def statements(sampler: str, pruner: str, trials: int = 10) -> str:
    """Return a worker's statements and transactions per trial."""
    counts = {"before_cursor_execute": 0, "commit": 0}

    def counting(name: str):
        def count(*_: object) -> None:
            counts[name] += 1

        return count

    with database() as url:
        create_study(url, spec_of(sampler, pruner), first=())
        here = open_client(url)
        for _ in range(trials):  # the first ones check the pool's connections and the sampler
            work(here)
        listeners = {name: counting(name) for name in counts}
        for name, listener in listeners.items():
            event.listen(Engine, name, listener)
        for _ in range(trials):
            work(here)
        for name, listener in listeners.items():
            event.remove(Engine, name, listener)
        here.leave()
    executed, committed = (count / trials for count in counts.values())
    return f"{executed:.0f} statements in {committed:.0f} transactions"


def main() -> None:
    """Print all figures."""
    for names in (("random", "none"), ("tpe", "asha")):
        print(f"{', '.join(names)}: {statements(*names)}", flush=True)
    table(HEAD, export())
    print(f"oldest trial not exported: {lag()}")


if __name__ == "__main__":
    main()
