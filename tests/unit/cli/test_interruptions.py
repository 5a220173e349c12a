"""Ctrl-C takes effect at the next pause, or immediately when repeated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from trainstack.search.cli import interruptions
from trainstack.search.cli.interruptions import Interruption
from trainstack.search.processes import ECHO_SECONDS


def press(times: int = 1) -> None:
    """Send this process the signal of Ctrl-C."""
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)


def test_an_interruption_waits_for_the_next_pause() -> None:
    """The current action is finished; the pause is cut short."""
    with Interruption(signal.SIGINT) as interruption:
        press()  # nothing is raised here
        with pytest.raises(KeyboardInterrupt):
            interruption.pause(3600.0)


def test_an_echo_is_not_a_second_interruption() -> None:
    """One Ctrl-C that arrives twice does not interrupt the current action."""
    with Interruption(signal.SIGINT):
        press(2)


def test_a_second_interruption_acts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second Ctrl-C, some time after the first, ends a hanging action."""
    now = [100.0]
    monkeypatch.setattr(interruptions.time, "monotonic", lambda: now[0])
    with Interruption(signal.SIGINT):
        press()
        now[0] += 2 * ECHO_SECONDS
        with pytest.raises(KeyboardInterrupt):
            press()


def test_a_waking_signal_only_ends_a_pause() -> None:
    """A signal that wakes ends one pause without an exception, also if it arrives before it."""
    with Interruption(signal.SIGINT, waking=[signal.SIGCHLD]) as interruption:
        signal.raise_signal(signal.SIGCHLD)
        interruption.pause(3600.0)
        press()
        with pytest.raises(KeyboardInterrupt):
            interruption.pause(3600.0)


def test_signals_at_any_moment_do_not_lock_a_pause() -> None:
    """Signals that arrive within a pause's own code end it, and nothing waits for ever."""
    # From another process: a thread would send only while this one is between its instructions.
    flood = (
        "import os, signal, sys, time\n"
        "while os.getppid() == int(sys.argv[1]):\n"
        " os.kill(int(sys.argv[1]), signal.SIGCHLD)\n"
        " time.sleep(2e-5)  # a flood would enter the handler from the handler\n"
    )
    command = [sys.executable, "-c", flood, str(os.getpid())]
    with Interruption(signal.SIGINT, waking=[signal.SIGCHLD]) as interruption:
        with subprocess.Popen(command) as sender:
            for _ in range(20_000):
                interruption.pause(0.001)
            sender.kill()
        press()
        with pytest.raises(KeyboardInterrupt):
            interruption.pause(3600.0)


def test_afterwards_signals_mean_what_they_meant_before() -> None:
    """The previous signal handlers are restored."""
    before = signal.getsignal(signal.SIGINT)
    with Interruption(signal.SIGINT) as interruption:
        press()
        with pytest.raises(KeyboardInterrupt):
            interruption.pause(0.0)
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
