"""A study's lifecycle from outside: interrupted, resumed, detached, refused, without a result."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.shell import LAUNCH, SMALL, Launched, Shell, adds_up, interrupt, refused
from trainstack.spaces.stack import Stack

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]


def test_another_spec_under_the_name_is_refused(digits: Launched) -> None:
    """A launch with another request under an existing name exits 4 and shows the difference."""
    line = refused(digits.shell.within(*LAUNCH, "--seed", "3"), 4)
    assert "seed: 0 here, 3 asked" in line
    line = refused(digits.shell.run("launch", "wine", "--study", "digits"), 4)
    assert "digits" in line


def optuna_states(shell: Shell, study: str) -> list[str]:
    """Return the states printed by Optuna's own command."""
    from trainstack.search.database import embedded_postgres

    url = embedded_postgres.url_of(shell.home / "postgres")
    optuna = str(Path(sys.executable).with_name("optuna"))
    command = [optuna, "trials", "--study-name", study, "--storage", url, "-f", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [row["state"] for row in json.loads(done.stdout)]


def workers_of(shell: Shell, study: str) -> list[str]:
    """Return the command lines of processes that work on a study of this home."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TRAINSTACK_HOME") == str(shell.home):
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return [line for line in found if "-m trainstack.workers" in line and study in line]


def once_running(shell: Shell, study: str, process: subprocess.Popen[str]) -> None:
    """Wait until a trial of a study is running."""
    from trainstack.search.database import embedded_postgres
    from trainstack.search.database.connection import engine, parse_url
    from trainstack.search.queue import queries
    from trainstack.spaces.errors import StudyError

    here = engine(parse_url(embedded_postgres.url_of(shell.home / "postgres")))
    while process.poll() is None:
        with contextlib.suppress(StudyError):
            if queries.status(here, study).counts["running"]:
                break
        time.sleep(0.1)
    here.dispose()


def test_a_launch_that_is_killed_gives_its_trials_back(shell: Shell) -> None:
    """`kill` acts like Ctrl-C: exit code 130, no worker left, the trial in the queue.

    Started by `nohup`, a launch ignores a closing terminal.
    """
    patient = Stack.of(units=[64], optimizer="sgd", optimizer__learning_rate=1e-4, stopping="none")
    stacks = shell.home / "patient.json"
    stacks.write_text(json.dumps([patient.to_json()]), "utf-8")
    words = ("launch", "digits", "--study", "killed", "--epochs", "9000", "--stacks", stacks)
    words = (*words, "--workers", "1", "--pruner", "none")
    process = shell.canned(epoch_seconds=0.1).start(
        *words, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    once_running(shell, "killed", process)
    os.killpg(process.pid, signal.SIGHUP)
    epochs = shell.json("trials", "killed")[0]["epochs"]
    while shell.json("trials", "killed")[0]["epochs"] <= epochs:
        assert process.poll() is None
    process.terminate()
    out, err = process.communicate(timeout=60)
    was_interrupted(shell, "killed", process, out, err)
    assert shell.json("status", "killed")["counts"]["waiting"] == 1


def was_interrupted(
    shell: Shell, study: str, process: subprocess.Popen[str], out: str, err: str
) -> None:
    """Check the state after an interruption: nothing is running, here or in Optuna."""
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1].startswith("trainstack: interrupted: running trials went")
    assert "Traceback" not in err
    assert workers_of(shell, study) == []
    status = shell.json("status", study)
    adds_up(status, over=False)
    assert status["state"] == "searching"
    assert status["counts"]["running"] == 0
    assert "RUNNING" not in optuna_states(shell, study)


def test_an_interrupted_search_is_finished_by_the_same_launch(shell: Shell) -> None:
    """The same launch trains the remaining trials of an interrupted search; the budget is exact.

    Ctrl-C is handled even if a shell started the command in the background with signals ignored.
    """
    command = (
        *("launch", "wine", "--study", "goes-on", "--trials", "8", "--epochs", "10"),
        *("--workers", "2", "--replicates", "1", "--space", "quick", "--folds", "1"),
    )
    canned = shell.canned(epoch_seconds=0.05)
    process = canned.start(
        *command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)
    )
    once_running(shell, "goes-on", process)
    was_interrupted(shell, "goes-on", process, *interrupt(process))
    done = canned.run(*command)
    assert done.returncode == 0, done.stderr
    assert "resuming study 'goes-on'" in done.stderr
    after = shell.json("status", "goes-on")
    adds_up(after, over=True)
    assert after["state"] == "concluded"
    assert after["counts"]["failed"] == after["counts"]["voided"] == 0
    assert len(shell.json("trials", "goes-on")) == 8
    assert {"RUNNING", "WAITING"}.isdisjoint(optuna_states(shell, "goes-on"))


def test_what_to_consider_about_the_data_is_said_once(shell: Shell, tmp_path: Path) -> None:
    """A repeated launch resumes the study without searching the data for warnings again."""
    rows = [f"{k % 7},{k % 2},{k % 2}" for k in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *rows]) + "\n", "utf-8")
    command = ("launch", tmp_path / "t.csv", "--target", "y", "--study", "said-once", "--detach")
    first, again = shell.within(*command), shell.within(*command)
    assert "'b' alone gives the target away" in first.stderr
    assert "resuming study 'said-once'" in again.stderr
    assert "gives the target away" not in again.stderr


@pytest.fixture(scope="module")
def secretive(shell: Shell) -> Shell:
    """The same database through a URL with a password."""
    from trainstack.search.database import embedded_postgres

    sockets = embedded_postgres.url_of(shell.home / "postgres").rsplit("host=", 1)[1]
    url = f"postgresql://postgres:hunter2@/postgres?host={sockets}"
    return Shell(shell.home, {"TRAINSTACK_STORAGE": url})


def test_a_detached_study_waits_for_its_worker(secretive: Shell) -> None:
    """`launch --detach` prints the worker's command; without a worker there is no recommendation.

    The password of the storage's URL reaches workers only through their standard input, and is
    never printed or stored.
    """
    shell = secretive
    launch = ("launch", "wine", "--study", "apart", "--trials", "2", *SMALL)
    created = shell.within(*launch, "--detach")
    assert created.returncode == 0, created.stderr
    assert created.stdout.strip().endswith("trainstack worker apart")
    status = shell.json("status", "apart")
    assert status["state"] == "searching"
    adds_up(status, over=False)
    assert "apart" in refused(shell.within("recommend", "apart"), 5)
    assert "apart" in refused(shell.within("export", "apart", "--format", "json", "-o", "x"), 5)

    process = shell.canned(epoch_seconds=0.5).start("worker", "apart", "--gpus", "none")
    once_running(shell, "apart", process)
    arguments = workers_of(shell, "apart")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert arguments
    adds_up(shell.json("status", "apart"), over=True)
    found = shell.within("recommend", "apart")
    assert found.returncode == 0

    logs = [p.read_text("utf-8") for p in (shell.home / "logs").rglob("*.log")]
    reports = [p.read_text("utf-8") for p in (shell.home / "artifacts").rglob("report.*")]
    outputs = [
        shell.within(*words).stdout for words in (["status"], ["doctor"], ["trials", "apart"])
    ]
    for text in (*arguments, out, err, found.stdout, created.stdout, *logs, *reports, *outputs):
        assert "hunter2" not in text


def test_the_nearest_study_is_offered(digits: Launched) -> None:
    """A misspelt study exits 4 and suggests the nearest name."""
    assert "'digits'" in refused(digits.shell.within("status", "digit"), 4)


@pytest.mark.usefixtures("workers_here")
def test_a_study_of_diverged_trials_has_nothing_to_recommend(shell: Shell, tmp_path: Path) -> None:
    """If every trial diverged, `launch` and `recommend` exit 5 and report this."""
    wild = Stack.of(units=[8], optimizer="sgd", optimizer__learning_rate=100.0, activation="elu")
    (tmp_path / "s.json").write_text(json.dumps([wild.to_json()]), "utf-8")
    launch = ("launch", "diabetes", "--study", "wild", "--stacks", tmp_path / "s.json")
    small = ("--workers", "1", "--replicates", "1", "--epochs", "3", "--folds", "1")
    done = shell.within(*launch, *small)
    assert done.returncode == 5, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("trainstack: ")
    assert "1 diverged" in last
    assert "Traceback" not in done.stderr
    refused(shell.within("recommend", "wild"), 5)
    adds_up(shell.json("status", "wild"), over=True)


def test_each_verb_that_steers_prints_the_new_state(shell: Shell) -> None:
    """`pause`, `resume` and `stop` print the new state, which `status` then shows."""
    found = shell.json("launch", "wine", "--study", "steered", "--space", "quick", "--detach")
    assert found == {"study": "steered", "worker": "trainstack worker steered"}
    for verb, state in (("pause", "paused"), ("resume", "searching"), ("stop", "stopped")):
        reply = shell.within(verb, "steered")
        assert reply.returncode == 0
        assert reply.stdout.strip() == f"steered: {state}"
        assert shell.json("status", "steered")["state"] == state
