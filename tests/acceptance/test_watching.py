"""Watching and steering from outside: views, logs, replays, changed budgets."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import resource
import select
import shlex
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.shell import TRAINSTACK, Launched, Shell, interrupt, refused
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command under a pseudo-terminal: its output, its size, its keys."""

    def __init__(self, shell: Shell, columns: int, *arguments: object) -> None:
        self.ours, theirs = pty.openpty()
        self.size(columns)
        environment = {**shell.environment, "TERM": "xterm-256color"}
        # Ctrl-C reaches the process whose controlling terminal this is.
        own = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        own += "os.execv(sys.argv[1], sys.argv[1:])"
        self.process = subprocess.Popen(
            [sys.executable, "-c", own, TRAINSTACK, *map(str, arguments)],
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.text = ""

    def size(self, columns: int) -> None:
        """Resize the window."""
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self.ours, key)

    def read(self, until: str | None = None, seconds: float = 120) -> str:
        """Return the new output up to a pattern, or to the end."""
        start, deadline = len(self.text), time.monotonic() + seconds
        while until is None or not re.search(until, self.text[start:]):
            left = deadline - time.monotonic()
            assert left > 0, f"{until!r} was not drawn: {self.text[start:][-3000:]}"
            if not select.select([self.ours], [], [], left)[0]:
                continue
            try:
                piece = os.read(self.ours, 65536)
            except OSError:  # the other end is closed
                piece = b""
            if not piece:
                assert until is None, f"ended before {until!r}: {self.text[start:][-3000:]}"
                break
            self.text += _ESCAPES.sub("", piece.decode("utf-8", "ignore"))
        return self.text[start:]

    def lines(self, text: str) -> list[str]:
        """Return the lines of some output, with their full width."""
        return [line.rstrip() for line in re.split(r"[\r\n]+", text)]


@pytest.fixture
def patient(shell: Shell) -> Path:
    """A stack whose training takes very long."""
    stack = Stack.of(units=[64], optimizer="sgd", optimizer__learning_rate=1e-4, stopping="none")
    path = shell.home / "long.json"
    path.write_text(json.dumps([stack.to_json()]), "utf-8")
    return path


def test_the_view_on_a_terminal_survives_resizing_and_ctrl_c(shell: Shell, patient: Path) -> None:
    """A launch draws at 80 and at 140 columns; Ctrl-C returns trials and prints how to resume.

    A second terminal watches the same study; Ctrl-C in it ends only the view.
    """
    words = ("launch", "digits", "--study", "seen", "--epochs", "9000", "--stacks", patient)
    canned = shell.canned(epoch_seconds=0.1)
    launch = Terminal(canned, 80, *words, "--workers", "1", "--pruner", "none")
    # The counts are read before the progress, so one frame may show an epoch and no running trial.
    narrow = launch.read(r"(?s)1 running.*epoch [1-9]\d*/9000")
    assert max(map(len, launch.lines(narrow))) <= 80
    assert "seen  searching" in narrow
    assert "SGD" not in narrow

    watch = Terminal(shell, 140, "watch", "seen")
    wide = watch.read(r"epoch \d+/9000.*SGD")
    assert max(map(len, watch.lines(wide))) <= 140
    watch.press(b"\x03")
    watch.read()
    assert watch.process.wait(30) == 130
    assert shell.json("status", "seen")["counts"]["running"] == 1

    launch.size(140)
    launch.read(r"SGD")
    launch.press(b"\x03")
    end = launch.read()
    assert launch.process.wait(60) == 130
    assert "repeat the command to resume the study" in " ".join(end.split())
    assert "Traceback" not in launch.text
    assert shell.json("status", "seen")["counts"]["waiting"] == 1


def test_watching_without_a_terminal_is_plain(digits: Launched) -> None:
    """In a pipe, `watch` writes uncoloured lines to standard error; `--json` prints the status."""
    done = digits.shell.run("watch", "digits", "--json")
    assert done.returncode == 0
    assert done.stderr.startswith("concluded: ")
    assert "\x1b" not in done.stderr
    assert json.loads(done.stdout)["concluded"] is True
    assert "'digits'" in refused(digits.shell.within("watch", "digit"), 4)


def test_what_the_recommendation_prints_replays(digits: Launched) -> None:
    """`replay` of a pruned or completed trial, and of a run, gives the recorded curve."""
    command = shlex.split(digits.shell.json("recommend", "digits")["replay"])
    if command[1] == "replay":
        found = digits.shell.json(*command[1:])
        assert found["same"]
        assert found["exact"], found
    rows = digits.shell.json("trials", "digits", "--confirmation")
    run = next(row for row in rows if row["outcome"] == "completed")
    found = digits.shell.json("replay", "digits", run["number"], "--confirmation")
    assert found["same"]
    assert found["again"]["curve"] == pytest.approx(run["curve"], rel=1e-3)
    assert found["stack_id"] == run["stack_id"]
    for row in digits.shell.json("trials", "digits", "--outcome", "pruned")[:1]:
        done = digits.shell.run("replay", "digits", row["number"])
        assert done.returncode == 0, done.stderr
        assert f"{row['epochs']} epochs" in done.stdout


def test_a_replay_of_nothing_is_refused(digits: Launched) -> None:
    """An unknown trial and an invalid tolerance exit 2, an unknown study 4."""
    assert "one from 0 to 5" in refused(digits.shell.within("replay", "digits", "77"), 2)
    refused(digits.shell.within("replay", "digits", "0", "--tolerance", "-1"), 2)
    refused(digits.shell.within("replay", "digitz", "0"), 4)


def test_trials_are_filtered(digits: Launched) -> None:
    """`--outcome`, `--best` and `--axis` select exactly the matching rows."""
    every = digits.shell.json("trials", "digits")
    done = sorted((r for r in every if r["outcome"] == "completed"), key=lambda r: r["value"])
    assert digits.shell.json("trials", "digits", "--best", "2") == done[:2]
    assert digits.shell.json("trials", "digits", "--outcome", "completed") == [
        r for r in every if r["outcome"] == "completed"
    ]
    arm = every[0]["stack"]["activation"]
    assert digits.shell.json("trials", "digits", "--axis", f"activation={arm}") == [
        r for r in every if r["stack"]["activation"] == arm
    ]
    assert "'relu'" in refused(
        digits.shell.within("trials", "digits", "--axis", "activation=rel"), 2
    )


def test_logs_list_events(digits: Launched) -> None:
    """`logs` lists a study's events, or a trial's with its attempts; `workers` lists workers."""
    logs = digits.shell.json("logs", "digits")
    kinds = [event["kind"] for event in logs["events"]]
    assert kinds[0] == "created"
    assert {"joined", "confirming", "concluded"} <= set(kinds)
    assert "concluded" in digits.shell.run("logs", "digits", "--follow").stdout
    one = digits.shell.json("logs", "digits", "0")
    assert [attempt["attempt"] for attempt in one["attempts"]] == [1]
    assert {event["trial"] for event in one["events"]} == {0}
    refused(digits.shell.within("logs", "digits", "77"), 2)
    assert digits.shell.json("workers", "digits") == []
    assert "trainstack worker digits" in digits.shell.within("workers", "digits").stdout


@pytest.fixture
def detached(shell: Shell) -> Iterator[tuple[Shell, tuple[str, ...]]]:
    """A study without workers, and the launch that created it."""
    launch = ("launch", "wine", "--study", "changed", "--space", "quick", "--detach")
    assert shell.within(*launch).returncode == 0
    yield shell, launch
    with contextlib.suppress(subprocess.SubprocessError):
        shell.within("stop", "changed")


def test_a_budget_is_changed_and_a_stopped_study_set_going(
    detached: tuple[Shell, tuple[str, ...]],
) -> None:
    """`set` takes effect at once and is an event; repeating the launch resumes a stopped study."""
    shell, launch = detached
    done = shell.within("set", "changed", "trials=200", "timeout=1h")
    assert done.returncode == 0, done.stderr
    assert "40 before, 200 now" in done.stdout
    status = shell.json("status", "changed")
    assert status["budget"]["trials"] == 200
    assert 3500 < status["remaining_seconds"] <= 3600
    events = shell.json("logs", "changed")["events"]
    assert [e["message"] for e in events if e["kind"] == "changed"] == [
        line.removeprefix("changed: ") for line in done.stdout.splitlines()
    ]
    assert "or more" in refused(shell.within("set", "changed", "trials=1"), 2)
    refused(shell.within("set", "changed", "trails=9"), 2)
    refused(shell.within("set", "changed"), 2)

    shell.within("cancel", "changed")
    assert shell.json("status", "changed")["state"] == "stopped"
    again = shell.within(*launch)
    assert again.returncode == 0, again.stderr
    assert "resuming stopped study" in again.stderr
    status = shell.json("status", "changed")
    assert status["state"] == "searching"
    assert status["budget"]["trials"] == 200


def test_the_dashboards_note_follows_the_study(detached: tuple[Shell, tuple[str, ...]]) -> None:
    """The note is rewritten with the new state after a change, and otherwise left alone."""
    import optuna
    from optuna_dashboard import get_note

    from trainstack.search.dashboard.notes import Notes
    from trainstack.search.database import embedded_postgres
    from trainstack.search.database.connection import parse_url

    shell, _ = detached
    url = parse_url(embedded_postgres.url_of(shell.home / "postgres"))
    notes = Notes(url, "changed")
    assert notes.refresh() == ["changed"]
    assert notes.refresh() == []
    shell.within("pause", "changed")
    assert notes.refresh() == ["changed"]
    storage = url.render_as_string(hide_password=False)
    assert get_note(optuna.load_study(study_name="changed", storage=storage)).startswith(
        "# changed: paused"
    )
    shell.within("resume", "changed")
    notes.stop(last=True)
    assert "changed: searching" in get_note(
        optuna.load_study(study_name="changed", storage=storage)
    )


def test_a_dashboard_that_others_reach_warns(shell: Shell) -> None:
    """If it listens beyond this machine, the dashboard warns that it has no login."""
    process = shell.start("dashboard", "--host", "0.0.0.0", "--port", "0")
    assert process.stderr is not None
    try:
        assert "the dashboard has no login" in process.stderr.readline()
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_following_ends_with_the_study(digits: Launched) -> None:
    """`--follow` prints each trial as it appears; `--json` prints one document per line."""
    for verb in ("status", "workers"):
        done = digits.shell.run(verb, "digits", "--follow", "--json")
        (line,) = done.stdout.splitlines()
        assert untimed(json.loads(line)) == untimed(digits.shell.json(verb, "digits"))
    done = digits.shell.run("trials", "digits", "--follow", "--json")
    assert [json.loads(line) for line in done.stdout.splitlines()] == digits.shell.json(
        "trials", "digits"
    )
    piped = digits.shell.run("trials", "digits", "--follow", "--outcome", "completed").stdout
    assert all(re.match(r"trial \d+: completed, loss ", line) for line in piped.splitlines())
    assert "\x1b" not in piped
    done = digits.shell.run("status", "digits", "--follow")
    assert done.stdout.startswith("concluded: ")
    events = digits.shell.run("logs", "digits", "--follow", "--json").stdout.splitlines()
    assert [json.loads(event)["kind"] for event in events][-1] in ("concluded", "left")
    assert "the name of a study" in refused(digits.shell.run("status", "--follow"), 2)


def untimed(document: Any) -> Any:
    """A document without the fields that change with time."""
    if isinstance(document, list):
        return [untimed(item) for item in document]
    if isinstance(document, dict):
        return {k: untimed(v) for k, v in document.items() if not k.endswith("_seconds")}
    return document


def test_workers_come_and_go_while_a_launch_runs(shell: Shell, patient: Path) -> None:
    """`set workers=N` makes the launch start or stop workers; each change is an event."""
    stacks = json.loads(patient.read_text("utf-8"))
    patient.write_text(
        json.dumps([{**stacks[0], "batch_size": size} for size in (32, 64)]), "utf-8"
    )
    words = ("launch", "digits", "--study", "crewed", "--epochs", "9000", "--stacks", patient)
    canned = shell.canned(epoch_seconds=0.1)
    launch = canned.start(*words, "--workers", "1", "--pruner", "none")
    try:
        assert launch.stderr is not None
        assert "new study" in launch.stderr.readline()
        with following(shell, "crewed") as workers:
            until(workers, lambda now: [w["state"] for w in now] == ["training"])
            assert "workers: 2" in shell.within("set", "crewed", "workers=2").stdout
            until(workers, lambda now: [w["state"] for w in now] == ["training"] * 2)
            shell.within("set", "crewed", "workers=0")
            until(workers, lambda now: all(w["state"] == "leaving" for w in now))
    finally:
        interrupt(launch)
    events = [e for e in shell.json("logs", "crewed")["events"] if e["kind"] == "workers"]
    assert [event["message"] for event in events] == ["2", "0"]
    assert shell.json("status", "crewed")["counts"]["waiting"] == 2
    assert "from 0 to 1024" in refused(shell.within("set", "crewed", "workers=-1"), 2)


@contextlib.contextmanager
def following(shell: Shell, study: str) -> Iterator[Any]:
    """The documents of `workers STUDY --follow --json`."""
    process = shell.start("workers", study, "--follow", "--json", stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    yield map(json.loads, process.stdout)
    process.kill()
    process.communicate()


def until(documents: Iterator[Any], true: Callable[[Any], bool]) -> None:
    """Read documents until one satisfies the condition."""
    seen = []
    for document in documents:
        seen.append(document)
        if true(document):
            return
    raise AssertionError(f"never: {seen}")


def test_a_preview_tries_every_arm_and_creates_nothing(shell: Shell) -> None:
    """Arms are listed with speed, an arm too large for the memory is refused; no study is made.

    The estimate covers the working arms.
    """
    space = Space.named("quick").to_json()
    space["axes"]["units"] = {"list": {"units": {"choices": [[16], [65000, 65000]]}}}
    path = shell.home / "huge.json"
    path.write_text(json.dumps(space), "utf-8")
    words = ("launch", "wine", "--study", "previewed", "--space", path, "--trials", "12")
    done = shell.run(
        *(*words, "--workers", "1", "--folds", "1", "--preview", "--json"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30,) * 2),
    )
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("trainstack: cannot be trained here: units=65000-65000 (")
    preview = json.loads(done.stdout)
    assert [row["what"] for row in preview["refused"]] == ["units=65000-65000"]
    assert preview["budget"]["trials"] == 12
    good = [row for row in preview["tried"] if row["cause"] is None]
    arms = {arm for row in good for arm in row["arms"]}
    assert {"activation=relu", "normalization=before", "optimizer=nadam"} <= arms
    assert all(row["build_seconds"] > 0 < row["epoch_seconds"] for row in good)
    whole = preview["epochs"]
    slowest = max(r["build_seconds"] + whole * r["epoch_seconds"] for r in good)
    assert 0 < preview["estimate"]["search_seconds"] <= 12 * slowest
    assert "'previewed'" in refused(shell.within("status", "previewed"), 4)


def test_a_concluded_study_is_not_changed(digits: Launched) -> None:
    """The budget cannot be changed after the search."""
    assert "concluded" in refused(digits.shell.within("set", "digits", "trials=50"), 2)
    assert "concluded" in refused(digits.shell.within("set", "digits", "workers=2"), 2)
