"""Driving the installed command from outside, as a script or a person does."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.support.fake_bench import fake

TRAINSTACK = str(Path(sys.executable).with_name("trainstack"))
# Variables of a user's shell that would change the tests.
CLEARED = ("TRAINSTACK_STORAGE", "TRAINSTACK_ARTIFACTS", "TRAINSTACK_DATA", "COLUMNS", "KERAS_HOME")
SMALL = (
    *("--epochs", "2", "--replicates", "1", "--folds", "1"),
    *("--workers", "1", "--space", "quick"),
)
LAUNCH = (
    *("launch", "digits", "--trials", "6", "--epochs", "5"),
    *("--workers", "2", "--replicates", "2", "--space", "quick"),
)


@dataclass(frozen=True)
class Shell:
    """A home folder and the commands run in it.

    Attributes:
        home: TRAINSTACK_HOME.
        extra: Further environment variables.
    """

    home: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every command."""
        kept = {k: v for k, v in os.environ.items() if k not in CLEARED}
        return {**kept, "TRAINSTACK_HOME": str(self.home), **self.extra}

    def canned(self, **what: Any) -> Shell:
        """The same home, with trainers that simulate training as described by `what`."""
        return Shell(self.home, {**self.extra, **fake(**what)})

    def run(self, *arguments: object, timeout: float = 240, **options: Any) -> Any:
        """Run `trainstack` to its end; return exit code and output, as text."""
        command = [TRAINSTACK, *map(str, arguments)]
        given = {"capture_output": True, "text": True, "env": self.environment}
        settings = {"timeout": timeout, **given, **options}
        return subprocess.run(command, check=False, **settings)

    def within(
        self, *arguments: object, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `trainstack` to its end in this process, which spares the start of another.

        For commands that neither start workers nor handle signals.
        """
        from trainstack.search.cli.main import run

        out, err, here = io.StringIO(), io.StringIO(), Path.cwd()
        words = [*map(str, arguments)]
        with (
            patch.dict(os.environ, self.environment, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            os.chdir(cwd or here)
            try:
                code = run(words)
            finally:
                os.chdir(here)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    def json(self, *arguments: object) -> Any:
        """Run a verb with `--json`; return its document, the only content of stdout."""
        done = self.within(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        """Start `trainstack` in a process group of its own, as a terminal does."""
        command = [TRAINSTACK, *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        settings = {"text": True, "env": self.environment, "start_new_session": True}
        return subprocess.Popen(command, **{**pipes, **settings, **options})


@dataclass(frozen=True)
class Launched:
    """A study launched to its end, and the launch's output."""

    shell: Shell
    done: Any


def refused(done: Any, code: int) -> str:
    """Check that a command printed one line of error and nothing else; return the line."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("trainstack: "), done.stderr
    assert done.stdout == ""
    return lines[0]


def adds_up(status: dict[str, Any], over: bool) -> None:
    """Check the counting invariant."""
    counts = status["counts"]
    held = ("completed", "pruned", "diverged", "infeasible", "running", "waiting")
    spent = sum(counts[word] for word in held)
    assert spent <= status["budget"]["trials"], status
    if over:
        assert spent == status["budget"]["trials"], status
        assert counts["running"] == counts["waiting"] == 0, status


def interrupt(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Press Ctrl-C: the terminal sends SIGINT to every process of the group."""
    os.killpg(process.pid, signal.SIGINT)
    return process.communicate(timeout=60)


def exported(shell: Shell, study: str, form: str, target: Path) -> Path:
    """Export a study's single network or its stack; return the printed path."""
    done = shell.within("export", study, "--format", form, "--model", "single", "-o", target)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())
