"""What ending early costs and saves, replayed on the recorded runs with a cyclic schedule.

    python -m benchmarks.atlas.patience [FOLDER]

Runs are recorded to the end of their plans. Each row has them end after a share of the plan without
a better validation loss, counted from where the rate has come down first: all runs with `coslog`,
and those of the stacks whose name begins with `averaged/same`. Columns are those of
`benchmarks.stopping`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.atlas.records import FOLDER, Run, runs_of_all
from benchmarks.stopping import stopping_row
from trainstack.spaces.stack import Stack

SHARES = (0.25, 0.4, 0.5)
PREFIXES = {"`coslog`": "", "the measured default": "averaged/same"}


def replayable(found: Sequence[Run], prefix: str) -> list[dict[str, Any]]:
    """Return the finished runs with `coslog` and names that begin so, for `stopping_row`."""
    return [
        {
            "stack": Stack.from_json(run.stack),
            "epochs": len(run.loss),
            "valid": [math.inf if loss is None else loss for loss in run.loss],
            "epoch_seconds": run.seconds[1] / len(run.loss),
        }
        for run in found
        if run.finished and run.stack["schedule"] == "coslog" and run.name.startswith(prefix)
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    found = runs_of_all(parser.parse_args().folder)
    print(
        "stacks | share | runs | mean ratio | largest | above 1.05 | epochs saved | seconds saved"
    )
    for title, prefix in PREFIXES.items():
        for share in SHARES:
            row = stopping_row(
                replayable(found, prefix),
                lambda stack, share=share: stack.but(stopping="patience", stopping__share=share),
            )
            print(f"{title} | {share} | {row}")


if __name__ == "__main__":
    main()
