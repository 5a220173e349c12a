"""The database's cost of a trial, by size of the study and by number of workers.

    python -m benchmarks.scale
    python -m benchmarks.scale growth 100 10000
    python -m benchmarks.scale workers 1 8

Nothing is trained: a worker claims, sleeps, reports and finishes. The first form measures every row
of docs/scale.md in about a quarter of an hour and writes `benchmarks/results/scale.md`.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import URL, Connection, text

from benchmarks.table import RESULTS, machine, versions
from trainstack.search.data_spec import DataSpec
from trainstack.search.database import embedded_postgres, retry
from trainstack.search.database.connection import engine, parse_url
from trainstack.search.records import Measurement, Result
from trainstack.search.spec import StudySpec
from trainstack.search.studies.actions import create_study
from trainstack.search.studies.worker_client import Lease, WorkerCard, WorkerClient
from trainstack.spaces.errors import StorageAwayError
from trainstack.spaces.space import Space

SIZES, CREWS = (100, 10_000, 100_000), (1, 8, 64, 200)
EPOCHS = 10
REPEATS = 40
# Number of real trials, whose copies fill a grown study.
TEMPLATES = 60
# Workers per process, so that hundreds of workers fit into the machine's memory.
MOST_THREADS = 25
TRIAL_SECONDS, RUN_SECONDS = 10.0, 60.0


def spec_of(sampler: str, pruner: str) -> StudySpec:
    """Return the spec of a study without end."""
    data = DataSpec("digits", None, "classification", "none", 64, ("0", "1"))
    space = Space.named("chapter").to_json()
    asked = {"trials": 10**6, "epochs": EPOCHS, "sampler": sampler, "pruner": pruner}
    return StudySpec(study="scale", data=data, space=space, **asked)


@contextmanager
def database() -> Iterator[URL]:
    """Start an embedded server for this run only."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "postgres"
        yield parse_url(embedded_postgres.hold(data))
        embedded_postgres.release(data)


def open_client(url: URL) -> WorkerClient:
    """Join as a worker."""
    return WorkerClient.open(url, "scale", WorkerCard("host", 1))


def work(here: WorkerClient, seconds: float = 0.0) -> tuple[float, float, float]:
    """Take one trial and finish it; return the seconds of claim, ten reports, finish."""
    began = time.perf_counter()
    lease = here.claim()
    claimed = time.perf_counter()
    assert isinstance(lease, Lease)
    measured = []
    reporting = 0.0
    for epoch in range(1, EPOCHS + 1):
        time.sleep(seconds / EPOCHS)
        before = time.perf_counter()
        measured.append(Measurement(epoch, 1 / epoch, 1 / epoch, 0.5))
        here.report(lease, measured[-1:])
        here.verdict(lease, epoch)
        reporting += time.perf_counter() - before
    before = time.perf_counter()
    here.finish(lease, Result("completed", random.random(), EPOCHS, tuple(measured)))
    return claimed - began, reporting, time.perf_counter() - before


def grow(connection: Connection, finished: int) -> None:
    """Add finished trials to the study, as copies of its own; no export is due for them."""
    query = text("SELECT max(task_id), count(*) FROM trainstack_tasks")
    base, number = connection.execute(query).one()
    skipped = ("task_id", "number", "stack_id", "exported")
    columns = connection.execute(text("SELECT * FROM trainstack_tasks LIMIT 0")).keys()
    kept = [column for column in columns if column not in skipped]
    connection.execute(
        text(
            f"INSERT INTO trainstack_tasks (number, stack_id, exported, {', '.join(kept)}) "
            "SELECT CAST(:number AS integer) + g - 1, substr(md5(g::text), 1, 12), true, "
            f"{', '.join(f't.{column}' for column in kept)} "
            "FROM generate_series(1, CAST(:more AS integer)) g "
            f"JOIN trainstack_tasks t ON t.task_id = {base} - (g % {TEMPLATES})"
        ),
        {"number": number, "more": finished},
    )
    places = "UPDATE trainstack_studies SET held = held + :more, opened = opened + :more"
    connection.execute(text(places), {"more": finished})


def spent(url: URL) -> tuple[float, float]:
    """Return the processor seconds used by this process and by the server so far."""
    started = Path(str(url.query["host"])) / "postmaster.pid"
    server = psutil.Process(int(started.read_text().split()[0]))
    times = [process.cpu_times() for process in (server, *server.children())]
    return time.process_time(), sum(t.user + t.system for t in times)


def fill(url: URL, size: int, sampler: str, pruner: str) -> None:
    """Create a study with `size` finished trials."""
    create_study(url, spec_of(sampler, pruner), first=())
    here = open_client(url)
    for _ in range(TEMPLATES):
        work(here)
    here.leave()
    root = engine(url)
    with root.begin() as connection:
        grow(connection, max(0, size - TEMPLATES))
    with root.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    root.dispose()


def growth(sizes: Sequence[int], sampler: str, pruner: str) -> Iterator[list[str]]:
    """Measure the cost of a trial in a study of each size; yield one row per size."""
    for size in sizes:
        with database() as url:
            fill(url, size, sampler, pruner)
            began = time.perf_counter()
            here = open_client(url)
            work(here)
            first = time.perf_counter() - began
            before = spent(url)
            rows = [work(here) for _ in range(REPEATS)]
            spans = zip(before, spent(url), strict=True)
            computed = [1000 * (after - begun) / REPEATS for begun, after in spans]
            parts = [1000 * statistics.median(row[k] for row in rows) for k in range(3)]
            here.leave()
        cells = [f"{part:.0f}" for part in (*parts, *computed)]
        yield [f"{sampler}, {pruner}", f"{size:,}", f"{first:.1f}", *cells]


@dataclasses.dataclass
class Crew:
    """The workers of one process, as threads."""

    url: str
    threads: int
    claims: list[float] = dataclasses.field(default_factory=list)
    vain: list[float] = dataclasses.field(default_factory=list)

    def run(self, ready: Any, results: Any) -> None:
        """Work until the time is over; report the durations of claims and of the whole run."""
        retry.install()
        clients = [open_client(parse_url(self.url)) for _ in range(self.threads)]
        ready.wait()
        began = time.monotonic()
        serve = partial(self._serve, until=began + RUN_SECONDS)
        threads = [threading.Thread(target=serve, args=(here,)) for here in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        results.put((self.claims, self.vain, time.monotonic() - began))

    def _serve(self, here: WorkerClient, until: float) -> None:
        time.sleep(TRIAL_SECONDS * random.random())  # workers of a fleet start at different times
        while time.monotonic() < until:
            began = time.monotonic()
            try:
                self.claims.append(work(here, TRIAL_SECONDS)[0])
            except StorageAwayError:  # timed out: try again, as a supervisor does
                self.vain.append(time.monotonic() - began)


def workers(counts: Sequence[int]) -> Iterator[list[str]]:
    """Measure the trial rate and the claims of each number of sleeping workers."""
    context = multiprocessing.get_context("spawn")
    for count in counts:
        with database() as url:
            create_study(url, spec_of("random", "none"), first=())
            crews = [min(MOST_THREADS, count - k) for k in range(0, count, MOST_THREADS)]
            ready, results = context.Barrier(len(crews)), context.Queue()
            address = url.render_as_string(hide_password=False)
            processes = [
                context.Process(target=Crew(address, size).run, args=(ready, results))
                for size in crews
            ]
            for process in processes:
                process.start()
            reports = [results.get() for _ in crews]
            for process in processes:
                process.join()
        claims = sorted(claim for crew in reports for claim in crew[0] + crew[1])
        half, tail = claims[len(claims) // 2], claims[int(0.99 * (len(claims) - 1))]
        rate = sum(len(crew[0]) for crew in reports) / max(crew[2] for crew in reports)
        ideal = count / TRIAL_SECONDS
        figures = (f"{ideal:.1f}", f"{rate:.1f}", f"{1000 * half:,.0f}", f"{1000 * tail:,.0f}")
        yield [str(count), *figures]


GROWTH = ["sampler, pruner", "finished trials", "first, s", "claim, ms", "ten reports", "finish"]
GROWTH += ["CPU of the worker", "of the server"]
FLEET = ["workers", "trials/s if nothing cost", "measured", "claim, ms: median", "99 %"]


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Print a table row by row as it is measured; return it."""
    lines = []
    for row in (head, ["---"] * len(head)):
        lines.append("| " + " | ".join(row) + " |")
    print(*lines, sep="\n", flush=True)
    for row in rows:
        lines.append("| " + " | ".join(row) + " |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def grown(sizes: Sequence[int]) -> str:
    """Measure growth with the cheapest choices and with the usual ones."""
    pairs = (("random", "none"), ("tpe", "asha"))
    return table(GROWTH, (row for pair in pairs for row in growth(sizes, *pair)))


def main(arguments: list[str]) -> None:
    """Run the requested measurements."""
    if arguments:
        numbers = [int(number) for number in arguments[1:]]
        if arguments[0] == "workers":
            table(FLEET, workers(numbers))
        else:
            grown(numbers)
        return
    before = os.getloadavg()[0]
    parts = [grown(SIZES), table(FLEET, workers(CREWS))]
    title = f"# What a trial costs the database, on {machine()}"
    load = f"Load of the machine before and after: {before:.1f}, {os.getloadavg()[0]:.1f}."
    about = f"{date.today().isoformat()}, {versions()}. Repeat with `python -m benchmarks.scale`."
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scale.md").write_text("\n\n".join([title, about, load, *parts]) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
