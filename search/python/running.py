"""Run the command from a program: no signal handler of the program's is replaced.

A verb that trains, or that takes many options, runs as a child process. It therefore makes the
same checks and gives the same guarantees as in a terminal, and it can be called from any thread.
"""

from __future__ import annotations

import contextlib
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import IO

from trainstack.search.cli.signals import INTERRUPTED
from trainstack.search.database.connection import STORAGE
from trainstack.search.processes import environment
from trainstack.spaces.errors import TrainstackError, of_exit_code

# Seconds between two calls of `tick`.
TICK_SECONDS = 0.5
# Seconds that the command may take to return its trials; its workers have 20.
LEAVE_SECONDS = 40.0
_OURS = "trainstack: "


def run(
    words: Sequence[str],
    storage: str | None,
    say: Callable[[str], object],
    tick: Callable[[], object] = lambda: None,
) -> str:
    """Run `trainstack WORDS` to its end and return what it wrote to standard output.

    Args:
        words: The verb and its arguments.
        storage: URL of the database, as `--storage`. It is passed through the environment, since
            every user of the machine can read a process's arguments.
        say: Called with each line of its messages.
        tick: Called twice per second meanwhile.

    Raises:
        KeyboardInterrupt: Raised in this thread, and raised on after the trials were returned.
        TrainstackError: The command ended with an error.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "trainstack.search.python.child", *words],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environment(**({STORAGE: storage} if storage else {})),
            # A terminal's Ctrl-C reaches this program alone, which then ends the child in order.
            start_new_session=True,
        )
        try:
            error = _listen(child, say, tick)
        except BaseException:
            _end(child)
            raise
        if child.returncode:
            raise _failure(child.returncode, error)
        output.seek(0)
        return output.read()


def _listen(
    child: subprocess.Popen[str], say: Callable[[str], object], tick: Callable[[], object]
) -> str:
    """Pass on each line until the child has ended; return its error, "" if there is none."""
    assert child.stdin is not None
    assert child.stderr is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(child.stderr, lines), daemon=True).start()
    error = last = ""
    while True:
        try:
            line = lines.get(timeout=TICK_SECONDS)
        except queue.Empty:
            tick()
            continue
        if line is None:
            break
        last = line
        if line.startswith(_OURS):
            error = line.removeprefix(_OURS)
        else:
            say(line)
    child.wait()
    child.stdin.close()
    return error or last


def _read(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    with stream:
        for line in stream:
            if line := line.rstrip():
                lines.put(line)
    lines.put(None)


def _end(child: subprocess.Popen[str]) -> None:
    """Let the child return its trials and end; kill it if it takes too long."""
    try:
        assert child.stdin is not None
        # A process that this one has forked may hold the pipe's end as well: closing it is not
        # enough.
        with contextlib.suppress(OSError), child.stdin as line:
            line.write("\n")
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(LEAVE_SECONDS)
    finally:
        if child.poll() is None:
            child.kill()


def _failure(code: int, message: str) -> TrainstackError:
    """Return the error for the exit code and the last message of the command."""
    if code == INTERRUPTED or code < 0:
        return TrainstackError("the command was interrupted", hint="call again to go on")
    return of_exit_code(code, as_keywords(message))


def as_keywords(message: str) -> str:
    """Write the command's flags as keywords; commands in backticks stay as they are.

    >>> as_keywords("--target-transform 'x' is not known; see `trainstack launch --help`")
    "target_transform 'x' is not known; see `trainstack launch --help`"
    """
    parts = message.split("`")
    for k in range(0, len(parts), 2):
        flags = r"(?<![\w-])--([a-z][a-z-]*)"
        parts[k] = re.sub(flags, lambda flag: flag[1].replace("-", "_"), parts[k])
    return "`".join(parts)
