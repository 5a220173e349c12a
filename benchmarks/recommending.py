"""Compare what default launches recommend with an earlier version and with gradient boosting.

    python -m benchmarks.recommending AFTER [BEFORE]

AFTER and BEFORE are folders of launches that `benchmarks.launches` recorded; BEFORE is by default
the code whose runs stopped after ten epochs without improvement and whose plans had thirty epochs.
A table's losses are means over the seeds that a folder holds. The delivered model is the one
that `trainstack export` writes by default. A study's regret is the test loss of the recommended
stack over the lowest of any stack that a launch of this table recommended or compared with, less 1.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.launches import DATA, read
from benchmarks.table import RESULTS

Launches = dict[str, dict[int, dict[str, Any]]]
DECIDED = ("better", "equivalent", "worse")


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


def boosting(record: Mapping[str, Any]) -> float:
    """Return the test loss of scikit-learn's gradient boosting on the same rows."""
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


def main() -> None:
    """Print one line for each table, then the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("after", type=Path)
    parser.add_argument("before", type=Path, nargs="?", default=RESULTS / "launches" / "before")
    given = parser.parse_args()
    old, new = by_table(read(given.before)), by_table(read(given.after))
    print(
        "| data | seeds | before | stack | / before | delivered | / before | boosting | undecided "
        "| seconds |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    ratios, beaten = [], [0, 0, 0]
    tables = [name for name in DATA if name in new] + sorted(set(new) - set(DATA))
    for name in tables:
        records, earlier = list(new[name].values()), list(old.get(name, {}).values())
        stack, model, stick = (fmean(map(f, records)) for f in (loss, delivered, boosting))
        former = fmean(map(loss, earlier)) if earlier else None
        beaten = [
            n + (value is not None and value < stick)
            for n, value in zip(beaten, (former, stack, model), strict=True)
        ]
        ratios += [] if former is None else [(stack / former, model / former)]
        parts = [f"{value / former:.2f}" if former else "" for value in (stack, model)]
        then = f"{former:.4f}" if former else ""
        print(
            f"| {name} | {len(records)} | {then} | {stack:.4f} "
            f"| {parts[0]} | {model:.4f} | {parts[1]} | {stick:.4f} "
            f"| {sum(not decided(record) for record in records)} "
            f"| {median(record['seconds'] for record in records):.0f} |"
        )
    if ratios:
        print(
            f"\nmedian ratio: stack {median(a for a, _ in ratios):.2f}, "
            f"delivered model {median(b for _, b in ratios):.2f}"
        )
    for when, launches in (("before", old), ("after", new)):
        every = [record for records in launches.values() for record in records.values()]
        count = sum(not decided(record) for record in every)
        print(f"undecided studies {when}: {count} of {len(every)}")
    better = [
        record
        for records in new.values()
        for record in records.values()
        if record["found"]["verdict"] == "better"
    ]
    print(
        f"verdicts better: {len(better)}, of which the test rows have the sign: "
        f"{sum(map(confirmed_on_test, better))}"
    )
    lowest = {
        name: min(f(r) for f in (loss, default_loss) for x in (old, new) for r in x[name].values())
        for name in old.keys() & new.keys()
    }
    means = [fmean(regrets(launches, lowest)) for launches in (old, new)]
    print(f"mean regret: {means[0]:.3f} before, {means[1]:.3f} after ({len(lowest)} tables)")
    print(
        f"lower loss than boosting: {beaten[0]} of {len(ratios)} tables before, of {len(tables)} "
        f"{beaten[1]} the stack, {beaten[2]} the delivered model"
    )


if __name__ == "__main__":
    main()
