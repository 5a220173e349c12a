"""Compare what default launches recommend with an earlier version and with gradient boosting.

    python -m benchmarks.recommending AFTER [BEFORE]

AFTER and BEFORE are folders of launches that `benchmarks.launches` recorded; BEFORE is by default
the code whose runs stopped after ten epochs without improvement and whose plans had thirty epochs.
A table's losses are medians over the seeds that a folder holds; the ratios' medians are over the
tables with at least five seeds in both, and over all. The delivered model is the one that
`trainstack export` writes by default. A study's regret is the test loss of the recommended stack
over the lowest of any stack that a launch of this table recommended or compared with, less 1.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, geometric_mean, median
from typing import Any

from benchmarks.launches import DATA, read
from benchmarks.table import RESULTS

Launches = dict[str, dict[int, dict[str, Any]]]
DECIDED = ("better", "equivalent", "worse")
# Seeds of a table that counts in the medians.
SEEDS = 5


def by_table(records: Iterable[dict[str, Any]]) -> Launches:
    """Return the records by table and seed."""
    found: Launches = defaultdict(dict)
    for record in records:
        found[record["table"]][record["seed"]] = record
    return found


def loss(record: Mapping[str, Any]) -> float:
    """Return the recommended stack's mean test loss over its seeds."""
    return record["found"]["test"]["loss"]["mean"]


def delivered(record: Mapping[str, Any]) -> float:
    """Return the test loss of the model that is exported by default."""
    models = record["found"]["models"]
    return models[models["default"]]["test"]["loss"]["mean"]


def boosting(record: Mapping[str, Any]) -> float | None:
    """Return the test loss of scikit-learn's gradient boosting; None if it took too long."""
    return record["found"]["yardstick"]["test"]["loss"]


def default_loss(record: Mapping[str, Any]) -> float:
    """Return the mean test loss of the stack that the recommended one is compared with."""
    return record["found"]["baseline"]["test"]["loss"]["mean"]


def regrets(launches: Launches, lowest: Mapping[str, float]) -> list[float]:
    """Return the regret of every study of the tables in `lowest`."""
    return [
        loss(record) / lowest[name] - 1
        for name, records in launches.items()
        if name in lowest
        for record in records.values()
    ]


def confirmed_on_test(record: Mapping[str, Any]) -> bool:
    """Return whether the recommended stack has less test loss than the default in paired runs."""
    return record["found"]["difference_on_test"]["mean"] < 0


def decided(record: Mapping[str, Any]) -> bool:
    """Return whether the study says what to use: no further seeds would tell more.

    Of a study that recommends the default, older code did not say whether another stack was open.
    """
    found = record["found"]
    if found["verdict"] not in DECIDED:
        return False
    decision = found.get("decision")
    if decision is None:
        return found["stack"] != found["baseline"]["stack"]
    return decision["would_decide"] is None


def share_decided(records: Sequence[dict[str, Any]]) -> str:
    """Return how many studies are decided, of how many."""
    return f"{sum(map(decided, records))} of {len(records)}"


def seconds(records: Sequence[dict[str, Any]]) -> str:
    """Return the median time of the launches whose time was recorded."""
    known = [record["seconds"] for record in records if record["seconds"] is not None]
    return f"{median(known):.0f}" if known else ""


@dataclass(frozen=True)
class Compared:
    """A table's launches: those of the present code, and those of the earlier one, perhaps none."""

    name: str
    new: Sequence[dict[str, Any]]
    old: Sequence[dict[str, Any]]

    @property
    def boosting(self) -> float | None:
        """Median test loss of gradient boosting on the same rows; None if no launch has one."""
        known = [found for record in self.new if (found := boosting(record)) is not None]
        return median(known) if known else None

    @property
    def losses(self) -> tuple[float | None, float, float]:
        """Median test losses of the earlier stack, of the stack and of the delivered model."""
        former = median(map(loss, self.old)) if self.old else None
        return former, median(map(loss, self.new)), median(map(delivered, self.new))

    @property
    def ratios(self) -> tuple[float, float] | None:
        """Those of stack and delivered model to the earlier stack's; None without one."""
        former, stack, model = self.losses
        return None if former is None else (stack / former, model / former)

    @property
    def counts(self) -> bool:
        """Whether both versions have enough seeds for the medians over the tables."""
        return min(len(self.new), len(self.old)) >= SEEDS

    def line(self) -> str:
        """Return the table's line, as below HEAD."""
        (former, stack, model), ratios = self.losses, self.ratios
        parts = ("", "") if ratios is None else tuple(f"{ratio:.2f}" for ratio in ratios)
        then = "" if former is None else f"{former:.4f}"
        theirs = "" if self.boosting is None else f"{self.boosting:.4f}"
        return (
            f"| {self.name} | {len(self.old)}, {len(self.new)} | {then} | {stack:.4f} | {parts[0]} "
            f"| {model:.4f} | {parts[1]} | {theirs} | {share_decided(self.old)} "
            f"| {share_decided(self.new)} | {seconds(self.old)} | {seconds(self.new)} |"
        )


HEAD = (
    "| data | seeds | before | stack | / before | delivered | / before | boosting "
    "| decided before | after | seconds before | after |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def beating(tables: Sequence[Compared]) -> str:
    """Return on how many tables stacks and models have less loss than boosting."""
    rows = [
        [x is not None and x < theirs for x in table.losses]
        for table in tables
        if (theirs := table.boosting) is not None
    ]
    former, stack, model = map(sum, zip(*rows, strict=True))
    return f"of {len(rows)} tables before {former}, the stack {stack}, the delivered {model}"


def over_all(old: Launches, new: Launches) -> Iterator[str]:
    """Yield the figures over all studies of the tables."""
    for when, launches in (("before", old), ("after", new)):
        every = [record for records in launches.values() for record in records.values()]
        yield f"decided {when}: {share_decided(every)} studies"
    better = [
        record
        for records in new.values()
        for record in records.values()
        if record["found"]["verdict"] == "better"
    ]
    agree = sum(map(confirmed_on_test, better))
    yield f"verdicts better: {len(better)}, of which the test rows have the sign: {agree}"
    lowest = {
        name: min(f(r) for f in (loss, default_loss) for x in (old, new) for r in x[name].values())
        for name in old.keys() & new.keys()
    }
    before, after = (fmean(regrets(launches, lowest)) for launches in (old, new))
    yield f"mean regret: {before:.3f} before, {after:.3f} after ({len(lowest)} tables)"


def main() -> None:
    """Print one line for each table, then the figures over all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("after", type=Path)
    parser.add_argument("before", type=Path, nargs="?", default=RESULTS / "launches" / "before")
    given = parser.parse_args()
    old, new = by_table(read(given.before)), by_table(read(given.after))
    names = [name for name in DATA if name in new] + sorted(set(new) - set(DATA))
    tables = [Compared(n, [*new[n].values()], [*old.get(n, {}).values()]) for n in names]
    print(HEAD)
    for table in tables:
        print(table.line())
    counting = [table for table in tables if table.counts]
    for some, which in ((counting, f"at least {SEEDS} seeds of both"), (tables, "all")):
        ratios = [table.ratios for table in some if table.ratios is not None]
        if ratios:
            print(f"\n{which}")
            for name, mean in (("median", median), ("geometric mean", geometric_mean)):
                stack, model = (mean(values) for values in zip(*ratios, strict=True))
                print(f"{name} ratio: stack {stack:.2f}, delivered {model:.2f}")
            print(f"less loss than boosting: {beating(some)}")
            these = {table.name for table in some}
            print(*over_all(*({n: x[n] for n in these & x.keys()} for x in (old, new))), sep="\n")


if __name__ == "__main__":
    main()
