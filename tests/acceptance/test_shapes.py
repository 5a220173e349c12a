"""The JSON documents that scripts rely on, field by field."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.shell import LAUNCH, TRAINSTACK, Launched, Shell, adds_up

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]

OUTCOMES = {"completed", "pruned", "diverged", "infeasible", "failed", "voided"}
COUNTS = {*OUTCOMES, "running", "waiting", "retried"}
NUMBER = (int, float)


def score_of(score: dict[str, Any]) -> None:
    """Check {mean, ci95, n}."""
    assert isinstance(score["mean"], NUMBER)
    assert isinstance(score["n"], int)
    assert score["n"] >= 1
    if score["ci95"] is not None:
        low, high = score["ci95"]
        assert low <= score["mean"] <= high


def test_status_has_the_contracts_fields(digits: Launched) -> None:
    """`status STUDY --json` has every field, and its counts add up to the budget."""
    status = digits.shell.json("status", "digits")
    assert status["study"] == "digits"
    assert status["state"] == "concluded"
    assert set(status["counts"]) >= COUNTS
    assert all(type(count) is int for count in status["counts"].values())
    assert status["budget"]["trials"] == 6
    assert type(status["best"]["trial"]) is int
    assert 0 < status["best"]["value"] < 2.5
    assert isinstance(status["workers"], list)
    adds_up(status, over=True)


def test_status_of_all_is_a_list_of_the_same(digits: Launched) -> None:
    """`status --json` is a list of the documents of `status STUDY --json`."""
    documents = digits.shell.json("status")
    found = next(d for d in documents if d["study"] == "digits")
    one = digits.shell.json("status", "digits")
    assert set(found) == set(one)
    assert found["counts"] == one["counts"]


def test_trials_have_the_contracts_fields(digits: Launched) -> None:
    """`trials --json` lists one row per search trial, with curve, stack and times."""
    rows = digits.shell.json("trials", "digits")
    status = digits.shell.json("status", "digits")
    assert sorted(row["number"] for row in rows) == list(range(len(rows)))
    for word in OUTCOMES:
        assert sum(row["outcome"] == word for row in rows) == status["counts"][word]
    for row in rows:
        assert row["outcome"] in OUTCOMES
        assert len(row["curve"]) == row["epochs"] <= 5
        assert type(row["stack"]) is dict
        assert len(row["stack_id"]) == 12
        assert type(row["seed"]) is type(row["attempt"]) is int
        assert type(row["worker"]) is str
        if row["outcome"] == "completed":
            assert row["value"] == min(row["curve"])
            assert set(row["seconds"]) >= {"total", "build", "compile", "train", "evaluate"}
            phases = [seconds for phase, seconds in row["seconds"].items() if phase != "total"]
            assert row["seconds"]["evaluate"] > 0
            assert sum(phases) <= row["seconds"]["total"]


def test_confirmation_runs_stand_beside_the_budget(digits: Launched) -> None:
    """`trials --confirmation` lists runs with paired fresh seeds, including the default's."""
    rows = digits.shell.json("trials", "digits", "--confirmation")
    found = digits.shell.json("recommend", "digits")
    seeds: dict[str, set[int]] = {}
    for row in rows:
        seeds.setdefault(row["stack_id"], set()).add(row["seed"])
    assert seeds[found["stack_id"]] == seeds[found["baseline"]["stack_id"]]
    assert len(seeds[found["stack_id"]]) == 2
    searched = {row["seed"] for row in digits.shell.json("trials", "digits")}
    assert not searched & seeds[found["stack_id"]]


def test_recommendation_has_the_contracts_fields(digits: Launched) -> None:
    """`recommend --json` has every field with its documented shape."""
    found = digits.shell.json("recommend", "digits")
    assert found["study"] == "digits"
    assert found["profile"] == "default"
    assert found["verdict"] in ("better", "equivalent", "worse", "undecided")
    assert len(found["stack_id"]) == 12
    for part in (found, found["baseline"]):
        for what in ("validation", "test"):
            score_of(part[what]["loss"])
            score_of(part[what]["accuracy"])
            assert part[what]["loss"]["n"] == 2
    assert set(found["difference"]) >= {"metric", "mean", "ci95", "n_pairs"}
    assert found["difference"]["n_pairs"] == 2
    assert found["optimism"] is None or isinstance(found["optimism"], NUMBER)
    for field in ("runners_up", "effects", "claims", "warnings"):
        assert isinstance(found[field], list), field
    measured = {"latency_ms", "parameters", "nonzero_fraction", "log_loss", "ece"}
    assert all(isinstance(found["measured"][name], NUMBER) for name in measured)
    assert isinstance(found["replay"], str)
    assert found["test"]["accuracy"]["mean"] > 0.9


def test_the_launch_ends_with_the_recommendation(digits: Launched) -> None:
    """`launch` prints conclusion, scores and the report's path; progress goes to standard error."""
    output = digits.done.stdout
    found = digits.shell.json("recommend", "digits")
    assert found["sentence"].split()[0] in output
    assert f"{found['test']['accuracy']['mean']:.4g}" in output
    report = Path(output.strip().splitlines()[-1].removeprefix("Report: "))
    assert report.is_file()
    assert "<html" in report.read_text("utf-8")[:500].lower()
    assert "6 trials" in digits.done.stderr
    assert max(map(len, output.splitlines()[:-1])) <= 80


def test_the_same_launch_again_recommends_the_same(digits: Launched) -> None:
    """Launching a concluded study starts no trial and prints `recommend --json`'s document."""
    before = digits.shell.json("status", "digits")
    again = digits.shell.run(*LAUNCH, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == digits.shell.json("recommend", "digits")
    after = digits.shell.json("status", "digits")
    assert after["counts"] == before["counts"]
    assert after["confirmation"] == before["confirmation"]


def test_the_report_is_written_where_asked(digits: Launched, tmp_path: Path) -> None:
    """`report -o DIR` writes the page, its Markdown, the data and the pictures."""
    done = digits.shell.within("report", "digits", "-o", tmp_path / "new" / "report")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "new" / "report").iterdir()}
    assert {"report.html", "report.md", "recommendation.json"} <= names
    assert {"confirmation.html", "curves.html", "progress.html", "plotly.min.js"} <= names
    document = json.loads((tmp_path / "new" / "report" / "recommendation.json").read_text("utf-8"))
    assert document == digits.shell.json("recommend", "digits")


def test_spaces_are_listed_shown_and_checked(shell: Shell, tmp_path: Path) -> None:
    """The output of `space show` for each space of `space list` passes `space check`."""
    names = [row["name"] for row in shell.json("space", "list")]
    assert {"chapter", "quick"} <= set(names)
    for name in ("chapter", "quick"):
        shown = shell.within("space", "show", name)
        assert json.loads(shown.stdout)["name"] == name
        (tmp_path / "s.json").write_text(shown.stdout, "utf-8")
        assert shell.json("space", "check", tmp_path / "s.json")["problems"] == []


def test_doctor_finds_what_is_here(shell: Shell) -> None:
    """`doctor --json` reports TensorFlow, devices, storage, data and disk, each with a fix."""
    findings = {row["what"]: row for row in shell.json("doctor")}
    assert {"TensorFlow", "devices", "storage", "data", "disk"} <= set(findings)
    assert findings["storage"]["ok"]
    assert "digits" in findings["data"]["found"]
    assert all({"ok", "found", "fix"} <= set(row) for row in findings.values())


def test_optunas_own_command_reads_the_study(digits: Launched) -> None:
    """`optuna trials` lists the same trials with the same values."""
    optuna = str(Path(sys.executable).with_name("optuna"))
    url = embedded_url(digits.shell)
    command = [optuna, "trials", "--study-name", "digits", "--storage", url, "-f", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs = {row["number"]: row for row in json.loads(done.stdout)}
    for row in digits.shell.json("trials", "digits"):
        assert theirs[row["number"]]["state"] == (
            "COMPLETE" if row["outcome"] == "completed" else "PRUNED"
        )
        if row["outcome"] == "completed":
            assert theirs[row["number"]]["value"]["validation loss"] == row["value"]


def embedded_url(shell: Shell) -> str:
    """Return the URL of the shell's embedded database."""
    from trainstack.search.database import embedded_postgres

    return embedded_postgres.url_of(shell.home / "postgres")


SLOW = {"tensorflow", "keras", "optuna", "pandas", "sklearn", "scipy", "plotly", "pyarrow", "ray"}


@pytest.mark.parametrize("words", [["--help"], ["status", "digits"], ["space", "list"]])
def test_quick_verbs_import_nothing_slow(digits: Launched, words: list[str]) -> None:
    """Help, status and the list of spaces import neither TensorFlow nor Optuna nor pandas."""
    code = (
        "import sys\nfrom trainstack.search.cli.main import run\n"
        f"code = run({words!r})\nprint(*sorted(m for m in sys.modules if '.' not in m), "
        "file=sys.stderr)\nraise SystemExit(code)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=digits.shell.environment
    )
    assert done.returncode == 0, done.stderr
    assert not SLOW & set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "words", [["status"], ["trials", "digits"], ["space", "list"], ["recommend", "digits"]]
)
@pytest.mark.parametrize("columns", ["80", "40"])
def test_text_fits_the_terminal(digits: Launched, words: list[str], columns: str) -> None:
    """Tables fit the terminal's width, down to 40 columns, and colour is not forced."""
    extra = {"COLUMNS": columns, "NO_COLOR": "1"}
    done = Shell(digits.shell.home, extra).run(*words)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    if words[0] in ("trials", "space"):
        assert max(map(len, done.stdout.splitlines())) <= int(columns)


def test_a_reader_that_leaves_is_no_fault(digits: Launched) -> None:
    """`trials | head` and a closed standard output end without a message."""
    for redirect in ("| head -c 10", ">&-", "> /dev/null"):
        line = f"set -o pipefail; '{TRAINSTACK}' trials digits --json {redirect}"
        done = subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **digits.shell.environment},
        )
        assert done.stderr == ""
        assert done.returncode == 0


def test_a_full_disk_is_one_line(digits: Launched) -> None:
    """Output that cannot be written is an error in one line."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = digits.shell.run(
            *("trials", "digits", "--json"), capture_output=False, stdout=full, stderr=-1
        )
    assert done.returncode == 2
    assert done.stderr.startswith("trainstack: ")
    assert len(done.stderr.splitlines()) == 1


def test_worker_logs_hold_no_noise(digits: Launched) -> None:
    """TensorFlow's messages about the processor or missing GPUs do not reach the logs."""
    logs = list((digits.shell.home / "logs").rglob("*.log"))
    assert logs
    for log in logs:
        assert "port.cc" not in log.read_text("utf-8")
        assert "retracing" not in log.read_text("utf-8")
        assert "cuda" not in log.read_text("utf-8")
