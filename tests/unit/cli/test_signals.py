"""A signal ends the command in one line, even if it is lost or replaced by a library's error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from trainstack.search.processes import interruption_signals

pytestmark = pytest.mark.process

BEGIN = """
import os, signal, sys, time, types
from trainstack.search.cli import __main__ as entry
from trainstack.search.cli import signals
"""
# Replaces the command
COMMAND = """
def command():
{body}
sys.modules["trainstack.search.cli.main"] = types.SimpleNamespace(main=command)
entry.main()
"""
LINE = "trainstack: interrupted\n"


def run(body: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run lines as the command, through its entry point."""
    indented = "\n".join("    " + line for line in body.strip().splitlines())
    program = BEGIN + COMMAND.format(body=indented)
    settings: dict = {"capture_output": True, "text": True, "timeout": 60}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=False, **{**settings, **options})


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_are_alike(name: str) -> None:
    """Ctrl-C, `kill` and a closing terminal give the same line and exit code."""
    done = run(f"signal.raise_signal(signal.{name})\ntime.sleep(60)")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", LINE)


def test_the_line_is_about_the_study() -> None:
    """Once a study exists, the line is the message about this study."""
    done = run("signals.say('interrupted: go on')\nsignal.raise_signal(signal.SIGINT)")
    assert (done.returncode, done.stderr) == (130, "trainstack: interrupted: go on\n")


def test_an_interruption_that_is_lost_comes_again() -> None:
    """An interruption in a finalizer, where no exception propagates, still ends the command."""
    done = run("""
class Deaf:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
Deaf()
time.sleep(60)
""")
    assert (done.returncode, done.stderr) == (130, LINE)


def test_an_interruption_that_is_taken_for_something_else() -> None:
    """If a library raises and prints another error instead, the result is the same."""
    done = run("""
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("Traceback", file=sys.stderr)
    raise ImportError("cannot import") from None
""")
    assert (done.returncode, done.stderr) == (130, LINE)


def test_an_echo_does_not_break_into_the_clean_up() -> None:
    """The same signal delivered twice interrupts once."""
    done = run("""
try:
    signal.raise_signal(signal.SIGINT)
finally:
    signal.raise_signal(signal.SIGINT)
    print("closed", flush=True)
""")
    assert (done.returncode, done.stdout, done.stderr) == (130, "closed\n", LINE)


def test_what_is_to_be_ignored_is_ignored() -> None:
    """Under `nohup` a closing terminal ends nothing."""
    done = run(
        "signal.raise_signal(signal.SIGHUP)\nprint('done')\nraise SystemExit(0)",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_other_errors_are_not_hidden() -> None:
    """Without a signal an error stays an error, and that of a finalizer is reported."""
    done = run("""
class Faulty:
    def __del__(self):
        raise ValueError("ours")
Faulty()
raise RuntimeError("a bug")
""")
    assert done.returncode == 1
    assert "ValueError: ours" in done.stderr
    assert "RuntimeError: a bug" in done.stderr


def test_endings_are_what_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers are installed only for signals with their default action."""
    ignored = {signal.SIGHUP: signal.SIG_IGN}
    monkeypatch.setattr(signal, "getsignal", lambda number: ignored.get(number, signal.SIG_DFL))
    assert interruption_signals() == [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_are_opened(closed: tuple[int, ...]) -> None:
    """Closed streams are reopened, so that no other file gets their descriptors."""
    body = """
assert os.open(os.devnull, os.O_RDONLY) > 2
assert all(os.get_inheritable(descriptor) for descriptor in range(3))
assert sys.stdin.read() == ""
print("out", flush=True)
print("err", file=sys.stderr, flush=True)
raise SystemExit(7)
"""
    done = run(
        body,
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: [os.close(descriptor) for descriptor in closed],
    )
    out, err = ("" if 1 in closed else "out\n"), ("" if 2 in closed else "err\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, out, err)


def test_a_worker_leaves_quietly_before_it_holds_anything() -> None:
    """A worker interrupted during its imports prints nothing."""
    program = (
        "import os, signal, sys, types\nfrom trainstack.workers.__main__ import main\n"
        "class Slow:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'trainstack.workers.runtime.command':\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Slow())\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interruption_that_a_library_swallows_ends_the_command() -> None:
    """Before workers are started, a command ends whose interruption was caught by an import."""
    done = run("""
from trainstack.search.cli.interruptions import Interruption
try:
    signal.raise_signal(signal.SIGTERM)
except BaseException:
    pass
with Interruption(signal.SIGINT):
    print("goes on")
""")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", LINE)
