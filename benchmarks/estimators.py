"""scikit-learn's own checks of the estimators, where every fit is a real study.

    python -m benchmarks.estimators LOG
    python -m benchmarks.estimators LOG StackRegressor

Each study has one trial, one run of the confirmation and one worker; each check has a line of JSON
in LOG. Checks that LOG has are not repeated, so an interrupted run goes on where it ended. When all
are there, the record `benchmarks/results/estimators.md` is written.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

# One of the checks is only made with it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

from sklearn import __version__ as sklearn_version
from sklearn.utils.estimator_checks import estimator_checks_generator

import trainstack
from benchmarks.table import RESULTS, machine, versions
from trainstack.search.python.estimators import EXPECTED_FAILED_CHECKS

KINDS = ("StackClassifier", "StackRegressor")
SMALL: dict[str, Any] = {
    **{"trials": 1, "epochs": 20, "folds": 1, "replicates": 1, "workers": 1, "space": "quick"},
    "options": {"yardstick": False, "models": False, "earlier_studies": False},
}
PASSED, EXPECTED, SKIPPED, FAILED = "passed", "expected failure", "skipped", "failed"
HEAD = ["estimator", "checks", PASSED, EXPECTED, SKIPPED, FAILED, "minutes"]


def checks(kind: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the checks of an estimator: title, estimator and check."""
    pairs: Any = estimator_checks_generator(getattr(trainstack, kind)(**SMALL))
    for estimator, check in pairs:
        settings = ", ".join(f"{k}={v}" for k, v in getattr(check, "keywords", {}).items())
        name = getattr(check, "func", check).__name__
        yield f"{name}({settings})" if settings else name, estimator, check


def outcome_of(estimator: Any, check: Any) -> tuple[str, str]:
    """Make a check; return its outcome and the first line of what it says."""
    from unittest import SkipTest

    name = getattr(check, "func", check).__name__
    try:
        check(estimator)
    except SkipTest as error:
        return SKIPPED, str(error)
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
        return (EXPECTED if name in EXPECTED_FAILED_CHECKS else FAILED), said
    return PASSED, ""


def make(log: Path, kinds: Sequence[str]) -> None:
    """Make the checks that the log does not have, and add them to it."""
    done = {(row["estimator"], row["check"]) for row in rows(log)}
    for kind in kinds:
        for title, estimator, check in checks(kind):
            if (kind, title) in done:
                continue
            began = time.monotonic()
            outcome, said = outcome_of(estimator, check)
            row = {"estimator": kind, "check": title, "outcome": outcome, "said": said}
            row["seconds"] = f"{time.monotonic() - began:.1f}"
            print(f"{row['seconds']:>7} {kind} {title}: {outcome} {said}", flush=True)
            with log.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(row) + "\n")


def rows(log: Path) -> list[dict[str, Any]]:
    """Return the checks that a log has."""
    return (
        [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []
    )


def record(found: Sequence[dict[str, Any]]) -> str:
    """Return the record: a table of the estimators, and each check that did not pass."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{' --- |' * len(HEAD)}"]
    for kind in KINDS:
        mine = [row for row in found if row["estimator"] == kind]
        count = Counter(row["outcome"] for row in mine)
        minutes = sum(float(row["seconds"]) for row in mine) / 60
        cells = [f"`{kind}`", len(mine), *(count[word] for word in HEAD[2:6]), f"{minutes:.0f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    others = [row for row in found if row["outcome"] != PASSED]
    about = f"{date.today().isoformat()}, scikit-learn {sklearn_version}, {versions()}."
    return "\n\n".join(
        [
            f"# scikit-learn's checks of the estimators with real studies, on {machine()}",
            f"{about} Repeat: `python -m benchmarks.estimators LOG`.",
            "\n".join(lines),
            "\n".join(_reason(row) for row in others),
        ]
    )


def _reason(row: dict[str, Any]) -> str:
    name = row["check"].partition("(")[0]
    why = EXPECTED_FAILED_CHECKS.get(name, row["said"])
    return f"- `{row['estimator']}`, `{row['check']}`, {row['outcome']}: {why}"


def main(arguments: list[str]) -> None:
    """Make the checks, and write the record if there is none left."""
    warnings.simplefilter("ignore")
    log, *kinds = arguments
    make(Path(log), kinds or KINDS)
    found = rows(Path(log))
    if len(found) == sum(1 for kind in KINDS for _ in checks(kind)):
        (RESULTS / "estimators.md").write_text(record(found).rstrip() + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
