"""What pairs of runs are worth: spread borrowed from other tables, and folds against fresh splits.

    python -m benchmarks.pairing [FOLDS.jsonl.gz …]

*Borrowed spread.* The variance of a run that neither stack nor seed explains, relative to the
default's loss, is estimated on each recorded table (`benchmarks/results/atlas`). An inverse χ²
distribution fitted to the other tables (Smyth 2004) is its prior on simulated studies of that
table. Per design: power to find a difference of two such deviations, coverage of a 95 % interval
over the tables and on the worst one, and the mean half-width, each without the prior and with it.

*Folds.* On recorded folds (`benchmarks/results/folds`), all pairs of a table's best stacks: the
variance over divisions of the mean difference over the five folds of a division, relative to that
of five independent splits; and the same relative to what an interval takes it for that treats the
five folds as independent.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.atlas.records import BASELINE, Run, runs
from benchmarks.fold_tables import FoldTable, read
from benchmarks.folds import FOLDS
from trainstack.search.evidence.intervals import critical_t
from trainstack.search.evidence.variance import _prior

SEEDS, DRAWS = 3, 40_000
# Stacks and seeds of a study.
DESIGNS = ((2, 2), (5, 2), (2, 5), (5, 3), (5, 5))
GAIN = 2.0
RECORDED = Path(__file__).parent / "results" / "folds"
# Stacks recorded on every table, and those whose pairs are compared.
STACKS, BEST = 12, 4


def noise(found: Sequence[Run]) -> tuple[float, float]:
    """Return the variance relative to the default's squared loss, and its degrees of freedom.

    From the two-way layout of the stacks that have all seeds.
    """
    rows: dict[str, list[float]] = defaultdict(list)
    for run in sorted((r for r in found if r.finished), key=lambda r: r.seed):
        rows[run.name].append(run.valid["loss"])
    losses = np.array([row for row in rows.values() if len(row) == SEEDS])
    rest = losses - losses.mean(1, keepdims=True) - losses.mean(0) + losses.mean()
    freedom = (len(losses) - 1.0) * (SEEDS - 1.0)
    return float((rest**2).sum()) / freedom / float(np.mean(rows[BASELINE])) ** 2, freedom


def prior(tables: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the prior's centre and degrees of freedom from the noise of several tables."""
    found = _prior(*np.array(tables).T)
    assert found is not None
    return found


def borrowing(stacks: int, seeds: int, tables: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return power, coverage and mean half-width on each table, without the prior and with it.

    Half-widths are in deviations of a run.

    Returns:
        [tables, 2, 3].
    """

    rng, found = np.random.default_rng([stacks, seeds]), []
    freedom, unit = (stacks - 1.0) * (seeds - 1.0), np.sqrt(2.0 / seeds)
    for k, (true, _) in enumerate(tables):
        centre, worth = prior([*tables[:k], *tables[k + 1 :]])
        centre /= true
        seen = rng.chisquare(freedom, DRAWS) / freedom
        error = unit * rng.normal(size=DRAWS)
        row = []
        for d0 in (0.0, worth):
            spread = np.sqrt((d0 * centre + freedom * seen) / (d0 + freedom))
            half = critical_t(d0 + freedom) * unit * spread
            row.append((np.mean(GAIN + error > half), np.mean(abs(error) < half), half.mean()))
        found.append(row)
    return np.array(found)


def pairs(table: FoldTable) -> tuple[float, float]:
    """Return the mean variance ratios of the pairs of the best stacks.

    Returns:
        Variance of a division's mean over a fifth of the variance of single splits; the same over a
        fifth of the mean variance of folds within a division.
    """
    mean = np.where(np.isfinite(table.losses), table.losses, np.inf).mean((1, 2))
    best = [k for k in np.argsort(mean)[:BEST] if np.isfinite(mean[k])]
    split, within = [], []
    for a, b in combinations(best, 2):
        gaps = table.losses[a] - table.losses[b]  # [divisions, folds]
        whole = gaps.mean(1).var(ddof=1)
        split.append(whole / (gaps.var(axis=0, ddof=1).mean() / FOLDS))
        within.append(whole / (gaps.var(axis=1, ddof=1).mean() / FOLDS))
    return float(np.mean(split)), float(np.mean(within))


def by_table(found: Sequence[Run]) -> Mapping[str, list[Run]]:
    """Return the runs of each table."""
    tables: dict[str, list[Run]] = defaultdict(list)
    for run in found:
        tables[run.data].append(run)
    return tables


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="*", default=sorted(RECORDED.glob("*.gz")))
    asked = parser.parse_args()
    tables = {name: noise(found) for name, found in by_table(runs()).items()}
    for name, (variance, freedom) in tables.items():
        print(f"{name:<20} deviation {100 * variance**0.5:6.2f} % of the loss ({freedom:g} d.o.f.)")
    centre, worth = prior([*tables.values()])
    print(f"prior: deviation {100 * centre**0.5:.2f} %, {worth:.2f} degrees of freedom\n")
    print("stacks seeds      power         coverage        worst       half-width")
    for stacks, seeds in DESIGNS:
        found = borrowing(stacks, seeds, [*tables.values()])
        mean, worst = found.mean(0), found[..., 1].min(0)
        figures = [mean[:, 0], mean[:, 1], worst, mean[:, 2]]
        shown = "   ".join(f"{one:.3f} {two:.3f}" for one, two in figures)
        print(f"{stacks:6d} {seeds:5d}   {shown}", flush=True)
    print("\ndata                  rows  divisions  to fresh splits  to what folds show")
    ratios = []
    for table in read(asked.files, STACKS):
        ratios.append(pairs(table))
        one, two = ratios[-1]
        print(f"{table.data:<20}{table.rows:6d}{table.losses.shape[1]:11d}{one:17.2f}{two:20.2f}")
    mean, error = np.mean(ratios, axis=0), np.std(ratios, axis=0, ddof=1) / len(ratios) ** 0.5
    cells = "  ".join(f"{m:.2f} ± {e:.2f}" for m, e in zip(mean, error, strict=True))
    print(f"mean and its standard error: {cells}")


if __name__ == "__main__":
    main()
