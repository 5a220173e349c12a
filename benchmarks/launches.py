"""Record default launches on tables: one compressed file for each table and seed of the study.

    python -m benchmarks.launches TABLES -o FOLDER [--data …] [--seeds 0 1] [--command trainstack]
        [--homes FOLDER] [-- FLAGS]

TABLES is a folder of Parquet files whose last column is the target. Every table is launched with
default flags, or with FLAGS, in a home of its own, which `--homes` keeps for
`benchmarks.ensembling`. A launch that FOLDER already holds is not repeated, so that the command
continues where it stopped. `--command` selects the version to measure. `benchmarks.recommending`
and `benchmarks.delivering` read the folder.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# From the smallest to the largest.
DATA = (
    *("pima_diabetes", "vehicle", "concrete", "yeast"),
    *("abalone", "satellite", "cpu_act", "california_housing"),
)
# Tables whose task cannot be told from the target's column.
TASKS = {"mnist_5k": "classification"}


def target_of(tables: Path, data: str) -> str:
    """Return the name of a table's last column."""
    import pyarrow.parquet as pq

    return pq.read_schema(tables / f"{data}.parquet").names[-1]


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the recorded launches that ended, by table and seed."""
    for path in sorted(folder.glob("*.json.gz")):
        yield json.loads(gzip.decompress(path.read_bytes()))


def launched(
    tables: Path, data: str, seed: int, command: str, flags: Sequence[str], homes: Path | None
) -> dict[str, Any] | None:
    """Launch a table and return its record, or None if the launch failed.

    Its home is kept in `homes`, if that is given.
    """
    words = [command, "launch", str(tables / f"{data}.parquet"), "--json", "--study", "s"]
    words += ["--target", target_of(tables, data), "--seed", str(seed), *flags]
    words += ["--task", TASKS[data]] if data in TASKS else []
    with contextlib.ExitStack() as stack:
        if homes is None:
            home = stack.enter_context(tempfile.TemporaryDirectory())
        else:
            home = str((homes / f"{data}-{seed}").absolute())
            os.makedirs(home)
        environment = {**os.environ, "TRAINSTACK_HOME": home}
        began, processor = time.perf_counter(), sum(os.times()[2:4])
        ended = subprocess.run(
            words, env=environment, capture_output=True, text=True, cwd=home, check=False
        )
        if ended.returncode != 0:
            print(f"{data} {seed}: {ended.stderr[-500:]}", file=sys.stderr, flush=True)
            return None
        seconds, spent = time.perf_counter() - began, sum(os.times()[2:4]) - processor
    record: dict[str, Any] = {"table": data, "seed": seed, "flags": list(flags)}
    record |= {"seconds": round(seconds, 1), "processor_seconds": round(spent, 1)}
    return record | {"found": json.loads(ended.stdout)}


def main() -> None:
    """Run the launches that are not recorded yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--data", nargs="*", default=list(DATA))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--homes", type=Path)
    parser.add_argument("--command", default=str(Path(sys.executable).with_name("trainstack")))
    words, flags = sys.argv[1:], []
    if "--" in words:
        words, flags = words[: words.index("--")], words[words.index("--") + 1 :]
    given = parser.parse_args(words)
    given.output.mkdir(parents=True, exist_ok=True)
    for seed in given.seeds:
        for data in given.data:
            path = given.output / f"{data}-{seed}.json.gz"
            if path.exists():
                continue
            record = launched(given.tables, data, seed, given.command, flags, given.homes)
            if record is not None:
                path.write_bytes(gzip.compress(json.dumps(record).encode(), mtime=0))
                print(f"{data} {seed}: {record['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
