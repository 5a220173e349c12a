"""`make bench`: measure every figure of the engine's table.

Each group runs in its own process, so that none inherits another's programs or memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _epochs() -> list:
    from benchmarks.engine import Subject, dropout_cost, epochs_against_fit

    fashion = Subject("fashion-mnist")
    return [*epochs_against_fit(fashion), *dropout_cost(fashion)]


def _trials() -> list:
    from benchmarks.engine import Subject, trials_against_fit

    return trials_against_fit(Subject("fashion-mnist"))


def _confirmation() -> list:
    from benchmarks.confirming import confirmation

    return [confirmation()]


def _launches() -> list:
    from benchmarks.launching import against_a_loop

    return [against_a_loop("fashion-mnist", 5, 6.0), against_a_loop("digits", 30, 6.0)]


def _memory() -> list:
    from benchmarks.lasting import memory_growth, warm_start

    return [warm_start(), memory_growth()]


def _metrics() -> list:
    from benchmarks.metrics import area_cost

    return [area_cost()]


def _together() -> list:
    from benchmarks.together import bundle_memory, folds_against_one, rate_tuning

    return [*folds_against_one(), rate_tuning(), bundle_memory()]


def _folds() -> list:
    from benchmarks.together import searches_on_folds

    return searches_on_folds()


def _tracking() -> list:
    from benchmarks.tracking import rows

    return rows()


def _network() -> list:
    from benchmarks.own_network import rows

    return rows()


def _layers() -> list:
    from benchmarks.layers import rows

    return rows()


GROUPS: dict[str, Callable[[], list]] = {
    "epochs": _epochs,
    "trials": _trials,
    "confirmation": _confirmation,
    "launches": _launches,
    "memory": _memory,
    "metrics": _metrics,
    "together": _together,
    "folds": _folds,
    "tracking": _tracking,
    "network": _network,
    "layers": _layers,
}


def main() -> None:
    """Measure the requested groups, print the table, write it to a file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(GROUPS)}; default: all")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps([asdict(row) for row in GROUPS[options.one]()]))
        return
    from benchmarks.table import HEAD, Row, write

    rows, path = [], None
    for group in options.groups or GROUPS:
        print(f"measuring {group} …", file=sys.stderr)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", "--one", group],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found = [Row(**row) for row in json.loads(done.stdout.splitlines()[-1])]
        for row in found:  # printed early: the whole table takes a quarter of an hour
            print("  " + "; ".join(row.cells()), file=sys.stderr)
        rows += found
        path = write(found)  # kept even if a later group fails
    table = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[k]) for line in table) for k in range(len(HEAD))]
    for line in table:
        print("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip())
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()
