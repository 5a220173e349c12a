"""Choose the portfolio from the recorded runs and write the product's table.

python -m benchmarks.atlas.portfolio [FOLDER] [--size 10]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.atlas.choosing import CHAPTER, portfolio, with_default
from benchmarks.atlas.records import FOLDER, of_task, runs
from trainstack.spaces.portfolio import TABLE

COMMAND = "python -m benchmarks.atlas.portfolio"


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--size", type=int, default=10)
    given = parser.parse_args()
    found = runs(given.folder)
    document: dict[str, Any] = {"command": COMMAND, "data": {}, "stacks": {}}
    for task in ("classification", "regression"):
        mine = of_task(found, task)
        losses, first = with_default(mine)
        base = losses.names.index(CHAPTER)
        _, *chosen = (losses.names[place] for place in portfolio(losses, given.size, (base, first)))
        document["data"][task] = list(losses.data)
        document["stacks"][task] = [_largest(mine, name) for name in chosen]
    TABLE.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def _largest(found: list[Any], name: str) -> dict[str, Any]:
    """Return a stack as it was on the data with the largest batches."""
    return max((run.stack for run in found if run.name == name), key=lambda s: s["batch_size"])


if __name__ == "__main__":
    main()
