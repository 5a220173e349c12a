"""How often the test part contradicts a gain that was seen on validation parts.

    python -m benchmarks.atlas.agreement [FOLDER]

Recorded stacks with three seeds are compared with the chapter's default. Each seed has a split of
its own of the rows that are not for testing; the test part is the same for all. A stack gains if
its mean validation loss is below the default's by more than a share of it, on one split or on
several; the test part contradicts it if the mean test loss of all three seeds is above the
default's.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean

from benchmarks.atlas.records import BASELINE, FOLDER, Run, runs

SEEDS = (0, 1, 2)
# Numbers of splits whose mean is looked at.
SPLITS = (1, 2, 3)
LEAST_GAINS = (0.0, 0.02, 0.05, 0.1)


@dataclass(frozen=True)
class Gap:
    """A stack's losses minus those of the chapter's default, as shares of its mean losses.

    Attributes:
        data: Name of the data set.
        valid: On the validation part of each seed.
        test: On the test part, mean over the seeds.
    """

    data: str
    valid: tuple[float, ...]
    test: float


def gaps(found: Sequence[Run]) -> list[Gap]:
    """Return the gap of every stack that has all seeds where the default has them, too."""
    rows: dict[tuple[str, str], dict[int, Run]] = defaultdict(dict)
    for run in found:
        if run.finished:
            rows[run.data, run.name][run.seed] = run
    result = []
    for (data, name), row in rows.items():
        base = rows.get((data, BASELINE), {})
        if name == BASELINE or any(s not in row or s not in base for s in SEEDS):
            continue
        usual = fmean(base[s].valid["loss"] for s in SEEDS)
        valid = tuple((row[s].valid["loss"] - base[s].valid["loss"]) / usual for s in SEEDS)
        tested = fmean(row[s].test["loss"] for s in SEEDS)
        result.append(Gap(data, valid, tested / fmean(base[s].test["loss"] for s in SEEDS) - 1.0))
    return result


def contradicted(found: Sequence[Gap], splits: int, least: float) -> tuple[int, int]:
    """Return the number of gains that the test part contradicts, and of all gains.

    Args:
        found: The gaps.
        splits: Number of splits whose mean counts; each choice of as many seeds is a case.
        least: Least gain on validation parts, as a share of the default's loss.
    """
    cases = [
        (fmean(chosen), gap.test) for gap in found for chosen in combinations(gap.valid, splits)
    ]
    gains = [test for valid, test in cases if valid < -least]
    return sum(test > 0.0 for test in gains), len(gains)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    found = gaps(runs(parser.parse_args().folder))
    print(f"{len(found)} stacks on {len({gap.data for gap in found})} data sets")
    print("| gain of more than | " + " | ".join(f"{n} split(s)" for n in SPLITS) + " |")
    print("| --- |" + " ---: |" * len(SPLITS))
    for least in LEAST_GAINS:
        cells = []
        for splits in SPLITS:
            wrong, gains = contradicted(found, splits, least)
            cells.append(f"{100 * wrong / gains:.0f} % of {gains}" if gains else "none")
        print(f"| {100 * least:g} % | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
