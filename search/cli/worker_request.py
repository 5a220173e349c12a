"""Run modules of `workers` in a child process, so that the command imports no TensorFlow."""

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

# Time that a process has to end by itself.
_LAST_SECONDS = 10


def answers(module: str, request: Mapping[str, Any]) -> Iterator[Any]:
    """Run `python -m MODULE` with a JSON document on its standard input and yield its answers.

    Args:
        module: Such as `trainstack.workers.tasks.replay`. It reads one document and writes its
            answers to standard output, one JSON document per line; on failure it writes a line
            `trainstack: …` and exits with the code of the error.
        request: The document.

    Yields:
        Each answer as soon as it arrives. Closing the iterator ends the process.

    Raises:
        RequestError: The module rejected the request.
        TrainstackError: The module crashed; the message holds its last line.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
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
                errors.seek(0)
                raise _failure(module, child.returncode, errors.read())
        finally:
            child.terminate()  # a server answers its open requests first
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_LAST_SECONDS)
            child.kill()


def _failure(module: str, code: int, text: str) -> TrainstackError:
    """Return the error for a child's exit code and standard error."""
    lines = text.strip().splitlines()
    if code < 0:
        return TrainstackError(f"{module} was ended by signal {-code}")
    ours = [line for line in lines if line.startswith("trainstack: ")]
    message = (ours or lines or [f"{module} ended with {code}"])[-1].removeprefix("trainstack: ")
    return of_exit_code(code, message)
