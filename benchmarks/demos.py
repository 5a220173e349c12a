"""Record launches of the demo with ten study seeds, and print them as a table.

    python -m benchmarks.demos FILE [--seeds 0 1 …]
    python -m benchmarks.demos FILE --seeds

FILE has one line of JSON for each launch. Seeds that it already has are not launched again; with no
seed it is only printed. Each launch has a home of its own. Times are those of the whole command, so
nothing else should run beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FLAGS = ("--trials", "40", "--epochs", "40", "--workers", "2")
COLUMNS = (
    *("seed", "seconds", "verdict", "open", "pairs", "stack", "default", "exported"),
    *("boosting", "recommended"),
)


def launched(seed: int) -> dict[str, Any]:
    """Launch the demo with a study seed; return its record."""
    command = str(Path(sys.executable).with_name("trainstack"))
    words = [command, "launch", "digits", "--study", "demo", *FLAGS, "--seed", str(seed), "--json"]
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "TRAINSTACK_HOME": home}
        began = time.perf_counter()
        ended = subprocess.run(
            words, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        return record(seed, time.perf_counter() - began, json.loads(ended.stdout))


def record(seed: int, seconds: float, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a launch.

    Args:
        seed: The study's seed.
        seconds: Duration of the launch.
        found: The recommendation, as `launch --json` prints it.
    """
    decision, exported = found["decision"], found["models"][found["models"]["default"]]
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "verdict": found["verdict"],
        "would_decide": decision["would_decide"],
        "pairs": decision["n_pairs"],
        "stack": found["test"]["loss"]["mean"],
        "default": found["baseline"]["test"]["loss"]["mean"],
        "exported": exported["test"]["loss"]["mean"],
        "boosting": found["yardstick"]["test"]["loss"],
        "recommended": found["description"],
    }


def row(kept: Mapping[str, Any]) -> str:
    """Return a record as a row of the table."""
    seeds = (kept["would_decide"] or {}).get("seeds")
    cells = {
        **kept,
        "seconds": f"{kept['seconds']:.0f}",
        "open": f"{seeds} more seeds" if seeds else "",
        **{name: f"{kept[name]:.4f}" for name in ("stack", "default", "exported", "boosting")},
    }
    return "| " + " | ".join(str(cells[name]) for name in COLUMNS) + " |"


def main() -> None:
    """Launch the seeds that the file lacks, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=range(10))
    given = parser.parse_args()
    lines = given.file.read_text().splitlines() if given.file.exists() else []
    kept = {line["seed"]: line for line in map(json.loads, lines)}
    for seed in given.seeds:
        if seed not in kept:
            kept[seed] = launched(seed)
            with given.file.open("a") as file:
                file.write(json.dumps(kept[seed]) + "\n")
    right = {"seconds", "pairs", "stack", "default", "exported", "boosting"}
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "|".join(" ---: " if name in right else " --- " for name in COLUMNS) + "|")
    for seed in sorted(kept):
        print(row(kept[seed]))


if __name__ == "__main__":
    main()
