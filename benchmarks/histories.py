"""Histories of the queue while processes die: could a correct queue have given them?

    python -m benchmarks.histories 1000

Each history is a study of a few tasks and three workers that are killed, frozen and cut off at
random; see `tests/queue_model/kill_storm.py`. The number is of histories altogether: those of an
earlier run that was interrupted count. Writes benchmarks/results/queue-histories.json; exit code 1
if a history is impossible, whose logs stay.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from sqlalchemy import URL

from tests.queue_model.kill_storm import LEASE_SECONDS, TRIALS, WORKERS, Verdict, storm, work
from tests.queue_model.mutants import MUTANTS, planted
from tests.support.studies import spec_of
from trainstack.search.database import embedded_postgres
from trainstack.search.database.connection import engine, parse_url
from trainstack.search.database.schema import ensure
from trainstack.search.queue import study_store

RESULT = Path("benchmarks/results/queue-histories.json")


def history(url: URL, seed: int, folder: Path) -> Verdict:
    """Record a history; its logs stay if something is wrong."""
    here = folder / f"h{seed}"
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    found = storm(url, seed, here)
    if not found.wrong:
        shutil.rmtree(here)
    return found


def histories(
    count: int, folder: Path, storage: URL, first: int = 0, at_once: int = 1
) -> list[Verdict]:
    """Record histories with the seeds from `first`; those in the folder count."""
    known = folder / "histories.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    lines = known.read_text("utf-8").splitlines() if known.exists() else []
    found = {line["seed"]: Verdict(**line) for line in map(json.loads, lines)}
    left = [seed for seed in range(first, first + count) if seed not in found]
    # Forks of this process, which has everything imported and no connection.
    pool = ProcessPoolExecutor(at_once, mp_context=get_context("fork"))
    with pool, known.open("a", encoding="utf-8") as out:
        for done in as_completed(pool.submit(history, storage, seed, folder) for seed in left):
            verdict = done.result()
            found[verdict.seed] = verdict
            out.write(json.dumps(dataclasses.asdict(verdict)) + "\n")
            out.flush()
    return [found[seed] for seed in sorted(found) if first <= seed < first + count]


def record(verdicts: list[Verdict]) -> dict[str, object]:
    """Return the record of histories."""
    return {
        "command": f"python -m benchmarks.histories {len(verdicts)}",
        "seeds": [verdicts[0].seed, verdicts[-1].seed],
        "workers": WORKERS,
        "trials": TRIALS,
        "lease_seconds": LEASE_SECONDS,
        "histories": len(verdicts),
        "impossible": [v.seed for v in verdicts if v.wrong],
        **{
            name: sum(getattr(verdict, name) for verdict in verdicts)
            for name in ("operations", "lost", "kills", "freezes", "cuts")
        },
    }


@contextlib.contextmanager
def server(storage: str | None, folder: Path) -> Iterator[URL]:
    """Yield a database with the product's tables, on a server of its own unless one is given."""
    if storage is not None:
        url = parse_url(storage)
    else:
        url = parse_url(embedded_postgres.hold(folder / "postgres"))
    here = engine(url)
    ensure(here)
    # What workers import and compile, before they are forked.
    study_store.create(here, spec_of("first", trials=TRIALS, replicates=1), ())
    work(url, "first", folder / "first.log", random.Random(0))
    here.dispose()
    yield url
    if storage is None:
        embedded_postgres.release(folder / "postgres")


def main() -> int:
    """Record histories; return the exit code."""
    parser = argparse.ArgumentParser(description="Histories while processes die.")
    parser.add_argument("count", type=int, help="number of histories")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--at-once", type=int, default=2, help="studies at a time")
    parser.add_argument("--storage", help="a server's URL; default: one of its own")
    parser.add_argument("--logs", type=Path, default=Path("build/histories"), help="folder")
    parser.add_argument("--record", type=Path, default=RESULT, help="the file to write")
    parser.add_argument("--fault", help="name of a fault to plant")
    given = parser.parse_args()
    fault = next((m for m in MUTANTS if m.name == given.fault), None)
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(server(given.storage, scratch))
        if fault is not None:
            stack.enter_context(planted(fault))
        found = histories(given.count, given.logs, url, given.first, given.at_once)
    told = record(found)
    given.record.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    print(json.dumps(told, indent=2))
    for verdict in found:
        for what in verdict.wrong:
            print(f"history {verdict.seed}: {what}", file=sys.stderr)
    return 1 if told["impossible"] else 0


if __name__ == "__main__":
    sys.exit(main())
