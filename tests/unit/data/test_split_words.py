"""How rows are divided, in words, and what to consider about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.data_files import arrays
from trainstack.search.cli.main import run
from trainstack.search.data.load import load
from trainstack.search.data.split_plan import SplitPlan
from trainstack.search.data.summary import summary_of
from trainstack.search.data.warnings import warnings_of
from trainstack.search.spec import StudySpec

ROWS = 300
RNG = np.random.default_rng(0)
X = RNG.normal(size=ROWS)
KIND = np.where(X + RNG.normal(size=ROWS) > 0, "up", "down")
DAYS = pd.date_range("2024-01-01", periods=ROWS).astype(str)


def table(folder: Path, **columns: Any) -> str:
    """Write a CSV of these columns beside a number and a target; return its path."""
    pd.DataFrame({"x": X, **columns, "kind": KIND}).to_csv(folder / "t.csv", index=False)
    return str(folder / "t.csv")


def test_the_division_is_told_with_its_rows(tmp_path: Path) -> None:
    """`data` says by what rows are divided, when parts in time begin, and what the gap takes."""
    path = table(tmp_path, who=np.arange(ROWS) % 50, when=DAYS)
    for plan, words in {
        SplitPlan(): "divided at random, stratified by class",
        SplitPlan(group="who"): "divided by 'who', each of its 50 values in one part",
        SplitPlan(time="when", gap="7d"): (
            "divided in the order of 'when': validation from 2024-07-06, test from 2024-08-28, "
            "with a gap of 7d"
        ),
    }.items():
        found = summary_of(load(path, "kind", plan=plan))
        assert found.division == words
        parts = found.parts
        assert parts.train + parts.valid + parts.test + parts.left_out == ROWS
        assert parts.left_out == (12 if plan.gap else 0)


def test_given_parts_are_told(tmp_path: Path) -> None:
    """A given test part, or all parts, are said to be given."""
    base = arrays()
    data = {**base, "x_test": base["x_train"], "y_test": base["y_train"]}
    np.savez(tmp_path / "one.npz", **data)
    np.savez(tmp_path / "two.npz", **data, x_valid=data["x_test"], y_valid=data["y_test"])
    one, two = (summary_of(load(str(tmp_path / f"{n}.npz"))).division for n in ("one", "two"))
    assert one == "the test part as given, the others at random, stratified by class"
    assert two == "divided as given"


def test_the_flags_reach_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`data` with flags prints the same division as text and in its document."""
    path = table(tmp_path, when=DAYS)
    assert run(["data", path, "--target", "kind", "--time", "when", "--gap", "30"]) == 0
    shown = capsys.readouterr().out
    assert run(["data", path, "--target", "kind", "--time", "when", "--gap", "30", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = found["parts"]
    line = (
        f"rows to train {rows['train']}, to validate {rows['valid']}, to test {rows['test']}, "
        f"left out {rows['left_out']}"
    )
    assert line in shown
    assert rows["left_out"] == 60
    assert found["division"] in " ".join(shown.split())


# What is in the table, the plan, and the sentence.
SENTENCES: dict[str, tuple[dict[str, Any], SplitPlan, str]] = {
    "dates": (
        {"when": DAYS},
        SplitPlan(),
        "Rows have dates in 'when', yet are divided at random: to predict later rows from earlier "
        "ones, use --time 'when'.",
    ),
    "names that recur": (
        {"user_id": [f"u{k % 40}" for k in range(ROWS)]},
        SplitPlan(),
        "Rows share values of 'user_id': if those belong together and new ones are to be "
        "predicted, use --group 'user_id'.",
    ),
    "few groups": (
        {"who": np.arange(ROWS) % 6},
        SplitPlan(group="who"),
        "The test part has 1 group(s) of 'who': its figures say little about other groups.",
    ),
    "large groups": (
        {"who": np.minimum(np.arange(ROWS) // 100, 2)},
        SplitPlan(group="who"),
        "The test part has 100 rows instead of about 60, since the groups of 'who' are kept whole.",
    ),
    "a class that ends": (
        {"when": DAYS, "kind": np.where((X > 0) & (np.arange(ROWS) < 200), "up", "down")},
        SplitPlan(time="when"),
        "The test part has no row of class 'up'.",
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_what_to_consider_is_said(name: str, tmp_path: Path) -> None:
    """Each is one sentence; a division that heeds it is not warned about again."""
    columns, plan, sentence = SENTENCES[name]
    frame = pd.DataFrame({"x": X, "kind": KIND, **columns})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert sentence in warnings_of(load(str(tmp_path / "t.csv"), "kind", plan=plan))


def test_a_good_division_is_not_warned_about(tmp_path: Path) -> None:
    """Many groups of like size, and times with both classes, raise nothing."""
    path = table(tmp_path, who=[f"p{k % 60}" for k in range(ROWS)], when=DAYS)
    assert warnings_of(load(path, "kind", plan=SplitPlan(group="who"))) == ()
    assert warnings_of(load(path, "kind", plan=SplitPlan(time="when"))) == ()


def test_another_division_is_another_study(tmp_path: Path) -> None:
    """The message about a repeated launch names the study's flags and the new ones."""
    path = table(tmp_path, who=np.arange(ROWS) % 50, when=DAYS)
    one, other = (
        StudySpec("s", load(path, "kind", plan=plan).describe(), {})
        for plan in (SplitPlan(), SplitPlan(time="when", gap="7d"))
    )
    assert one.differences(other) == [
        "rows are divided with no flags here, with --gap 7d --time when asked"
    ]
    assert StudySpec.from_json(other.to_json()).differences(other) == []


def test_a_study_of_an_earlier_version_is_divided_at_random(tmp_path: Path) -> None:
    """A pinned spec without a division equals a launch without flags."""
    spec = StudySpec("s", load(table(tmp_path), "kind").describe(), {})
    document = spec.to_json()
    del document["data"]["split"]
    assert StudySpec.from_json(document).differences(spec) == []
