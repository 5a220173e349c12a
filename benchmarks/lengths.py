"""Loss and cost by the length of the plan.

    python -m benchmarks.lengths CURVES.jsonl …

The curves are those recorded by `benchmarks.curves --what lengths`. For each data set it prints the
best loss of a few stacks at each number of updates, relative to the best at any, and the total
seconds of the stacks.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.stopping import read

LENGTHS = (1_000, 2_000, 4_000, 8_000, 16_000)


def rows(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Return the rows of the table, one per data set."""
    best: dict[str, dict[int, float]] = defaultdict(dict)
    spent: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for run in runs:
        updates = run["epochs"] * max(1, run["rows"] // run["stack"]["batch_size"])
        length = min(LENGTHS, key=lambda n: abs(n - updates))
        losses = best[run["data"]]
        losses[length] = min(losses.get(length, float("inf")), *run["valid"])
        spent[run["data"]][length] += run["seconds"]
    table = []
    for data, losses in best.items():
        least = min(losses.values())
        cells = [
            f"{losses[n] / least:.3f} ({spent[data][n]:.0f} s)" if n in losses else ""
            for n in LENGTHS
        ]
        table.append(" | ".join([data, *cells]))
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("curves", type=Path, nargs="+")
    print(" | ".join(["data", *(f"{n:,} updates" for n in LENGTHS)]))
    print("\n".join(rows(read(parser.parse_args().curves))))


if __name__ == "__main__":
    main()
