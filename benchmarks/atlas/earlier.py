"""What the first trials from earlier studies are worth, by the recorded runs.

    python -m benchmarks.atlas.earlier TABLES [FOLDER]

Each data set is left out in turn. The others are the earlier studies, each of which recommends its
stack with the least validation loss, and they choose the portfolio. Printed is the mean regret of
a search that tries the portfolio, then the stacks of the nearest studies, and, for comparison, of
one that tries as many stacks at random instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.atlas.choosing import Losses, best_default, finalists, portfolio, reached
from benchmarks.atlas.records import BASELINE, FOLDER, by_task, runs
from trainstack.search.data_spec import DataSpec
from trainstack.search.evidence.earlier_studies import MOST, distance

# Size of the portfolio, the baseline and the default included.
SIZE = 5
# Draws of the random stacks.
DRAWS = 200


def main() -> None:
    """Print the mean regrets of each task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    given = parser.parse_args()
    for task, mine in by_task(runs(given.folder)).items():
        names = sorted({run.data for run in mine})
        losses = Losses.of(mine, names)
        data = {name: described(given.tables, name) for name in names}
        default = finalists(mine, names)
        rows = [regrets(losses, place, data, default) for place in range(len(names))]
        first, near, chance = np.mean(rows, axis=0)
        print(
            f"{task}: {len(losses.names)} stacks, {len(names)} tables; mean regret after the "
            f"portfolio {first:.3f}, with nearest studies {near:.3f}, with random {chance:.3f}"
        )


def described(tables: Path, name: str) -> DataSpec:
    """Return the description of a table."""
    import pyarrow.parquet as pq

    from trainstack.search.data.load import load

    path = str(tables / f"{name}.parquet")
    return load(path, pq.read_schema(path).names[-1]).describe()


def regrets(
    losses: Losses, place: int, data: Mapping[str, DataSpec], default: tuple[str, ...]
) -> tuple[float, float, float]:
    """Return the regrets on a data set that is left out.

    Args:
        losses: The losses on all data sets of a task.
        place: Place of the data set.
        data: Name → description.
        default: Names of the stacks among which the default is chosen.

    Returns:
        After the portfolio; after the nearest studies' stacks; after as many random ones.
    """
    others = losses.without(place)
    first = losses.names.index(BASELINE), best_default(others, default)
    start = portfolio(others, SIZE, first, default)
    mine = data[losses.data[place]]
    near = sorted(range(len(others.data)), key=lambda k: distance(mine, data[others.data[k]]))
    found = list(dict.fromkeys(int(others.valid[k].argmin()) for k in near))
    warm = [stack for stack in found if stack not in start][:MOST]
    rest = [stack for stack in range(len(losses.names)) if stack not in start]
    rng = np.random.default_rng(place)
    draws = [rng.choice(rest, len(warm), replace=False) for _ in range(DRAWS)]

    def after(more: list[int]) -> float:
        return float(reached(losses, [*start, *more])[place, -1])

    return after([]), after(warm), float(np.mean([after([*map(int, draw)]) for draw in draws]))


if __name__ == "__main__":
    main()
