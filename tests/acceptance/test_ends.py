"""How the command ends: interrupted at any moment, or with a closed stream."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer

from tests.support.shell import CLEARED, TRAINSTACK, Shell, interrupt
from trainstack.search.cli.interruptions import VIEW_ENDED
from trainstack.search.cli.main import app, run

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(sys.platform != "linux", reason="signal handlers are read from /proc"),
]

LAUNCH = (
    *("launch", "digits", "--trials", "2", "--epochs", "2"),
    *("--workers", "1", "--replicates", "0", "--space", "quick"),
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Twenty moments from 0.05 to 5 s, each 1.27 times the one before
MOMENTS = [round(0.05 * 100 ** (k / 19), 2) for k in range(20)]
# Marks the command's processes, in any session
MARK = "TRAINSTACK_TEST_MARK"
GONE_SECONDS = 30.0


def handles_sigterm(process: subprocess.Popen[str]) -> bool:
    """Return whether a process has installed its own handler for SIGTERM."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text("utf-8").splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


def marked(mark: str) -> list[str]:
    """Return the command lines of living processes with a mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and process.environ().get(MARK) == mark:
                found.append(" ".join(process.cmdline()))
    return found


def nothing_runs(mark: str) -> None:
    """Wait until no process has a mark."""
    until = time.monotonic() + GONE_SECONDS
    while left := marked(mark):
        assert time.monotonic() < until, left
        time.sleep(0.05)


def interrupted(shell: Shell, study: str, moment: float, number: signal.Signals) -> bool:
    """Interrupt a launch at a moment; check how it ends, and return whether it was in progress.

    `kill` sends SIGTERM only to the command, a terminal sends its signals to all of its processes.
    """
    process = Shell(shell.home, {MARK: study}).start(*LAUNCH, "--study", study)
    time.sleep(moment)
    ours = handles_sigterm(process)
    with contextlib.suppress(ProcessLookupError):
        if number == signal.SIGTERM:
            process.send_signal(number)
        else:
            os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    nothing_runs(study)
    if process.returncode == 0:
        assert out, err  # it had ended
        return False
    if not ours:  # Python was still starting and handled the signal itself
        assert process.returncode in (130, -number, 1), err
        return False
    assert process.returncode == 130, err
    assert out == ""
    lines = err.splitlines()
    assert lines[-1].startswith("trainstack: interrupted"), err
    assert sum("interrupted" in line for line in lines) == 1, err
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    return True


def goes_on(study: str, ask: Callable[..., tuple[int, str, str]]) -> None:
    """Check that a study either does not exist or can be resumed by the same launch.

    Args:
        study: Its name.
        ask: Runs a command; returns its exit code, its output and its remarks.
    """
    code, out, _ = ask("status", study, "--json")
    if code == 4:
        return
    counts = json.loads(out)["counts"]
    assert counts["running"] == counts["failed"] == 0
    code, _, err = ask(*LAUNCH, "--study", study, "--detach")
    assert code == 0, err
    assert f"resuming study '{study}'" in err


@pytest.mark.parametrize(("place", "moment"), list(enumerate(MOMENTS)))
def test_an_interruption_at_any_moment(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: int,
    moment: float,
) -> None:
    """A launch interrupted at any moment prints one line, exits 130 and leaves no process.

    If the study exists by then, it can be resumed.
    """
    study = f"ends-{place}"
    interrupted(shell, study, moment, SIGNALS[place % 3])
    for name in CLEARED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRAINSTACK_HOME", str(shell.home))

    def ask(*words: str) -> tuple[int, str, str]:
        """Run it in this process, where all modules are imported already."""
        capsys.readouterr()
        code = run(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    goes_on(study, ask)


@pytest.mark.parametrize(
    ("number", "moment"), list(zip(SIGNALS, (1.6, 0.8, 2.4), strict=True)), ids=str
)
def test_an_interruption_at_the_first_launch(
    tmp_path: Path, number: signal.Signals, moment: float
) -> None:
    """After an interrupted creation the database is complete or absent, and stopped."""
    shell = Shell(tmp_path / "home")
    interrupted(shell, "first", moment, number)

    def ask(*words: str) -> tuple[int, str, str]:
        done = shell.run(*words)
        return done.returncode, done.stdout, done.stderr

    goes_on("first", ask)
    nothing_runs("first")


VIEWS = (
    ("watch",),
    ("logs", "--follow"),
    ("status", "--follow"),
    ("workers", "--follow", "--json"),
)


def test_a_view_that_is_left(shell: Shell) -> None:
    """Ctrl-C ends a view with one line and exit code 130."""
    shell.run(*LAUNCH, "--study", "viewed", "--detach")
    views = [shell.start(verb, "viewed", *flags) for verb, *flags in VIEWS]
    for view in views:
        first = view.stderr if view is views[0] else view.stdout
        assert first is not None
        assert first.readline()
        _, err = interrupt(view)
        assert (view.returncode, err.splitlines()) == (130, [f"trainstack: {VIEW_ENDED}"])


def verbs(command: Any, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return a command line for every verb, about a study, a file or data that does not exist."""
    if hasattr(command, "commands"):
        return [line for k, c in command.commands.items() for line in verbs(c, (*words, k))]
    values = {
        **{"study": "nothing", "data": "nothing", "file": "nothing.json", "name": "nothing"},
        **{"trial": "0", "changes": "workers=1", "form": "json", "output": "nothing.json"},
        **{"reason": "a test", "model": "nothing", "tracker": "tensorboard=nothing"},
    }
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            words = (*words, values[parameter.name])
        elif parameter.required:
            words = (*words, parameter.opts[0], values[parameter.name])
    return [words]


LINES = [*verbs(typer.main.get_command(app)), (), ("--help",), ("status",), ("nothing",)]


# Started with a closed stream, it runs each line once, and then in a fork of its own, with files
# for the other streams
DRIVER = """
import atexit, contextlib, gc, io, json, os, sys
closed, lines = int(sys.argv[1]), json.loads(sys.argv[2])
import optuna_dashboard
from trainstack.search.cli.main import run
# What the verbs import; meanwhile a file has the closed stream's place
assert os.open(os.devnull, os.O_RDWR) == closed
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    for words in lines:
        if words != ["doctor"]:
            run(words)
os.close(closed)
gc.freeze()
codes = []
for place, words in enumerate(lines):
    pid = os.fork()
    if not pid:
        for stream in {1, 2} - {closed}:
            # The lowest number that is free: the closed one's, which is closed again
            file = os.open(f"{closed}-{place}-{stream}", os.O_CREAT | os.O_WRONLY)
            os.dup2(file, stream)
            os.close(file)
        sys.argv[1:] = words
        from trainstack.search.cli.__main__ import main
        try:
            main()
        except SystemExit as leave:
            # Python's own end takes longer than the verb
            atexit._run_exitfuncs()
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
            os._exit(leave.code)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
raise SystemExit(codes != json.loads(sys.argv[3]))
"""


def test_closed_streams(quiet: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any standard stream closed a verb exits with the same code and the same output."""
    monkeypatch.chdir(tmp_path)
    for name in CLEARED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRAINSTACK_HOME", str(quiet.home))
    codes = [run(list(words)) for words in LINES]  # with its streams open
    assert set(codes) <= {0, 2, 4}

    def start(closed: int) -> subprocess.Popen[bytes]:
        given = [str(closed), json.dumps(LINES), json.dumps(codes)]
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, *given],
            cwd=tmp_path,
            env=quiet.environment,
            preexec_fn=lambda: os.close(closed),  # noqa: PLW1509 - no thread of ours runs
        )

    drivers = [start(closed) for closed in range(3)]
    assert [driver.wait(240) for driver in drivers] == [0, 0, 0]
    for place, words in enumerate(LINES):

        def output(closed: int, stream: int, place: int = place) -> str:
            return (tmp_path / f"{closed}-{place}-{stream}").read_text("utf-8")

        assert "Traceback" not in output(0, 2), words
        assert len(output(0, 2).splitlines()) <= 1, words
        assert output(1, 2) == output(0, 2), words
        if words != ("doctor",):  # its measurements vary
            assert _timeless(output(2, 1)) == _timeless(output(0, 1)), words


@pytest.mark.parametrize("words", [("status",), ("--help",), ("status", "nothing")], ids=" ".join)
def test_a_closed_stream_of_a_whole_process(quiet: Shell, words: tuple[str, ...]) -> None:
    """From start to end of Python, a closed stream causes no error message."""

    def start(closed: int) -> subprocess.Popen[str]:
        return quiet.start(*words, preexec_fn=lambda: os.close(closed))

    ended = [(p.communicate(timeout=120), p.returncode) for p in map(start, range(3))]
    (without_in, code), (without_out, _), (without_err, _) = ended
    assert [code for _, code in ended] == [code] * 3
    assert code in (0, 4)
    assert len(without_in[1].splitlines()) == (code == 4)
    assert without_out == ("", without_in[1])
    assert (_timeless(without_err[0]), without_err[1]) == (_timeless(without_in[0]), "")


def _timeless(text: str) -> str:
    """Return a verb's output without ages, which change with time."""
    return re.sub(r"(\d+(\.\d+)? (h|min|s)\b ?)+|(?<=_seconds\": )[\d.]+", "… ", text)


def test_a_reader_that_leaves_at_once(shell: Shell) -> None:
    """A reader that closes the pipe before a page of help causes no error."""
    line = f"set -o pipefail; '{TRAINSTACK}' launch --help | true"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, env=shell.environment
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_launch_without_standard_input(shell: Shell) -> None:
    """With standard input closed a launch trains and concludes normally."""
    canned = shell.canned(epoch_seconds=0.0)
    process = canned.start(*LAUNCH, "--study", "no-input", preexec_fn=lambda: os.close(0))
    _, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    status = shell.json("status", "no-input")
    assert status["counts"]["completed"] + status["counts"]["pruned"] == 2, err
