"""The cost of predicting a file of many rows: rows per second, and resident memory.

    python -m benchmarks.predicting
    python -m benchmarks.predicting 1000000

Writes a table of numbers, categories, dates and percentages, exports a network of 128 hidden units
for it, and predicts a number of rows (a million by default) as a user does, from a CSV file to a
CSV file and from Parquet to Parquet.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from benchmarks.table import machine, versions

ROWS, KNOWN_ROWS = 1_000_000, 2_000
COMMAND = str(Path(sys.executable).with_name("trainstack"))
_PAUSE = 0.05


def table(rows: int) -> pd.DataFrame:
    """Return rows with 14 columns: ten numbers, two categories, a date and a percentage."""
    rng = np.random.default_rng(0)
    columns = {f"n{k}": rng.normal(size=rows).round(4) for k in range(10)}
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, rows), "D")
    return pd.DataFrame(
        {
            **columns,
            "town": rng.choice(["Ede", "Genf", "Köln"], rows),
            "code": rng.choice([f"c{k}" for k in range(200)], rows),
            "when": days.strftime("%Y-%m-%d"),
            "share": [f"{k}%" for k in rng.integers(0, 100, rows)],
        }
    )


def exported_model(folder: Path) -> Path:
    """Export a network of 128 hidden units for a table of KNOWN_ROWS rows; return its file."""
    from tests.support.exported_models import exported

    known = table(KNOWN_ROWS)
    known["y"] = known["n0"] + known["n1"] * (known["town"] == "Ede")
    known.to_csv(folder / "known.csv", index=False)
    return exported(folder, str(folder / "known.csv"), "y", hidden=128)


def predicted(model: Path, source: Path, output: Path) -> tuple[float, float]:
    """Predict a file; return the seconds, and the most MiB that the processes held together."""
    began, most = time.perf_counter(), 0.0
    command = [COMMAND, "predict", str(model), str(source), "-o", str(output)]
    with psutil.Popen(command, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            held = 0.0
            for each in (process, *process.children(recursive=True)):
                try:
                    held += each.memory_info().rss / 2**20
                except psutil.NoSuchProcess:
                    continue
            most = max(most, held)
            time.sleep(_PAUSE)
    assert process.returncode == 0
    return time.perf_counter() - began, most


def main(rows: int) -> None:
    """Measure and print a table."""
    print(f"{machine()}; {versions()}\n")
    print("| from | rows | seconds | rows per second | resident, MiB |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = exported_model(folder)
        every = table(rows)
        every.to_csv(folder / "new.csv", index=False)
        every.to_parquet(folder / "new.parquet", index=False)
        del every
        for ending in ("csv", "parquet"):
            source, output = folder / f"new.{ending}", folder / f"predicted.{ending}"
            seconds, memory = predicted(model, source, output)
            speed = rows / seconds
            print(f"| {ending} | {rows:,} | {seconds:.1f} | {speed:,.0f} | {memory:.0f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
