"""Choose the portfolio from the recorded runs and write the product's table.

python -m benchmarks.atlas.portfolio [FOLDER]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.atlas.choosing import Losses, finalists, kept, portfolio, with_default
from benchmarks.atlas.records import BASELINE, FOLDER, Run, by_task, runs_of_all
from trainstack.spaces.portfolio import TABLE
from trainstack.spaces.stack import Stack

COMMAND = "python -m benchmarks.atlas.portfolio"
# Most stacks of a portfolio, the baseline besides.
SIZE = 12


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    before = json.loads(TABLE.read_text("utf-8"))
    TABLE.write_text(text_of(runs_of_all(parser.parse_args().folder), before), "utf-8")


def text_of(found: Sequence[Run], before: Mapping[str, Any]) -> str:
    """Return the text of the table that follows from recorded runs.

    Args:
        found: The runs.
        before: The table so far, whose defaults stay unless another is clearly better.
    """
    document: dict[str, Any] = {"command": COMMAND, "data": {}, "stacks": {}}
    for task, mine in by_task(found).items():
        losses, best = with_default(mine)
        first = _default(mine, losses, before["stacks"][task][0], best)
        base = losses.names.index(BASELINE)
        # A stack that looks good with one seed may be lucky.
        among = finalists(mine, losses.data)
        order = portfolio(losses, 1 + SIZE, (base, first), among)
        _, *chosen = (losses.names[place] for place in order)
        document["data"][task] = list(losses.data)
        document["stacks"][task] = [_largest(mine, name) for name in chosen]
    return json.dumps(document, indent=1) + "\n"


def _default(found: Sequence[Run], losses: Losses, incumbent: Mapping[str, Any], best: int) -> int:
    """Return the place of the default, which the incumbent stays if it is recorded everywhere."""
    for place, name in enumerate(losses.names):
        if _largest(found, name) == incumbent:
            return kept(losses, place, best)
    return best


def _largest(found: Sequence[Run], name: str) -> dict[str, Any]:
    """Return a stack as it was on the data with the largest batches, its numbers as written.

    Every run is recorded to the end of its plan; a stack of the portfolio may stop before.
    """
    stacks = (run.stack for run in found if run.name == name)
    largest = max(stacks, key=lambda stack: stack["batch_size"])
    # A rate is a product, such as 0.4 * 0.07 = 0.028000000000000004.
    written = {k: float(f"{v:.12g}") if isinstance(v, float) else v for k, v in largest.items()}
    return Stack.from_json(written).but(stopping="patience").to_json()


if __name__ == "__main__":
    main()
