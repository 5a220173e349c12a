"""Compare what searches of several kinds find on the same tables.

    python -m benchmarks.searching FOLDER FOLDER …

The folders hold launches that `benchmarks.launches` recorded with different flags, such as
`--space chapter` and `--space modern`. For each table and seed of the study that all of them hold,
the table gives the least validation loss among the stacks that were confirmed, as a mean over the
confirmation's seeds, which are the same in every folder; what it is relative to the first folder's;
and the processor time.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.launches import read
from benchmarks.recommending import by_table


def least_loss(record: Mapping[str, Any]) -> float:
    """Return the least mean validation loss of the confirmed stacks."""
    found = record["found"]
    rows = [found["validation"], *(other["validation"] for other in found["runners_up"])]
    return min(row["loss"]["mean"] for row in rows if row and row["loss"]["mean"] is not None)


def main() -> None:
    """Print one line for each table and seed, then the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    folders = parser.parse_args().folders
    found = [by_table(read(folder)) for folder in folders]
    keys = sorted(
        (data, seed)
        for data in set(found[0]).intersection(*found[1:])
        for seed in set(found[0][data]).intersection(*(records[data] for records in found[1:]))
    )
    names = [folder.name for folder in folders]
    print(
        "| data | seed | " + " | ".join(f"{name} | / {names[0]} | CPU s" for name in names) + " |"
    )
    print("| --- | ---: |" + " ---: | ---: | ---: |" * len(names))
    ratios: list[list[float]] = []
    for data, seed in keys:
        here = [records[data][seed] for records in found]
        losses = [least_loss(record) for record in here]
        ratios.append([loss / losses[0] for loss in losses])
        cells = [
            f"{loss:.4f} | {ratio:.3f} | {record['processor_seconds']:.0f}"
            for loss, ratio, record in zip(losses, ratios[-1], here, strict=True)
        ]
        print(f"| {data} | {seed} | " + " | ".join(cells) + " |")
    for place, name in enumerate(names):
        column = [row[place] for row in ratios]
        mean = math.exp(fmean(map(math.log, column)))
        print(f"\n{name}: median ratio {median(column):.3f}, geometric mean {mean:.3f}")


if __name__ == "__main__":
    main()
