"""A module of `workers` as a child process: the command line itself imports no TensorFlow."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from trainstack.search.processes import environment
from trainstack.spaces.errors import TrainstackError, of_exit_code


def answers(module: str, request: Mapping[str, Any]) -> Iterator[Any]:
    """Run `python -m MODULE` with a JSON document on its standard input.

    Args:
        module: Such as `trainstack.workers.tasks.replay`: it reads one document, writes its
            answers to standard output, one JSON document per line, and refuses with a line
            `trainstack: …` and the exit code of the error.
        request: The document.

    Yields:
        Its answers, each as soon as it is there. Whoever stops listening ends it.

    Raises:
        RequestError: It refused what was asked.
        TrainstackError: It broke; its last words say how.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            encoding="utf-8",
            env=environment(),
        ) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError), child.stdin as question:
                json.dump(request, question)
            for line in child.stdout:
                yield json.loads(line)
            if child.wait():
                said.seek(0)
                raise _failure(module, child.returncode, said.read())
        finally:
            child.kill()


def _failure(module: str, code: int, said: str) -> TrainstackError:
    """Return the error that a child's exit code and last words stand for."""
    lines = said.strip().splitlines()
    if code < 0:
        return TrainstackError(f"{module} was ended by signal {-code}")
    ours = [line for line in lines if line.startswith("trainstack: ")]
    message = (ours or lines or [f"{module} ended with {code}"])[-1].removeprefix("trainstack: ")
    return of_exit_code(code, message)
