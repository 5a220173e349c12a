"""`--track` and `trainstack track`: mirror a study to MLflow or TensorBoard."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainstack.search.cli.common import Storage, Study, err, out
from trainstack.search.cli.common import storage as reach
from trainstack.search.processes import interrupts_blocked
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    from sqlalchemy import URL

    from trainstack.search.tracking.trackers import Tracked

# Seconds that trackers have for what is left when the study is over, and after an interruption.
LAST_SECONDS, INTERRUPTED_SECONDS = 20.0, 2.0

Track = Annotated[
    list[str] | None,
    typer.Option(
        help="Mirror the study to a tracker: mlflow[=URI] or tensorboard=DIR; repeatable."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(track)


def read_trackers(values: Sequence[str] | None, detach: bool = False) -> list[Tracked]:
    """Read the values of `--track`.

    Raises:
        RequestError: A tracker is unknown, lacks its place or its package, or none can run, since
            the command returns at once.
    """
    if not values:
        return []
    from trainstack.search.tracking.trackers import read_tracker

    found = [read_tracker(value, os.environ) for value in values]
    if detach:
        raise RequestError(
            "--track together with --detach",
            "one of them",
            f"add the study to the tracker later: trainstack track STUDY {values[0]}",
        )
    return found


@contextlib.contextmanager
def tracking(url: URL, study: str, trackers: Sequence[Tracked]) -> Iterator[None]:
    """Mirror a study to trackers in this context, each in a process of low priority.

    At the end they have LAST_SECONDS for what is left; what they miss then is printed.
    """
    started = [(tracked, _start(url, study, tracked)) for tracked in trackers]
    patience = LAST_SECONDS
    try:
        yield
    except KeyboardInterrupt:
        patience = INTERRUPTED_SECONDS
        raise
    finally:
        until = time.monotonic() + patience
        for _, process in started:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        for tracked, process in started:
            if not _ended(process, until):
                again = f"trainstack track {shlex.quote(study)} {shlex.quote(tracked.flag)}"
                err().print(
                    f"{tracked.flag} does not have the whole study; `{again}` adds the rest",
                    markup=False,
                )


def _ended(process: subprocess.Popen[Any], until: float) -> bool:
    """Wait for a process, and end it when the time is over; return whether it did everything."""
    try:
        return process.wait(max(0.1, until - time.monotonic())) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False


def _start(url: URL, study: str, tracked: Tracked) -> subprocess.Popen[str]:
    from dataclasses import asdict

    from trainstack.search.artifact_names import folder_of
    from trainstack.search.database.connection import exported, home

    folder = home() / "logs" / folder_of(study)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"tracking-{tracked.kind}.log").open("ab") as log, interrupts_blocked():
        process = subprocess.Popen(
            [sys.executable, "-m", "trainstack.search.tracking"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
        )
    # The URL of the storage, and that of a tracker, may hold a password.
    request = {"url": exported(url), "study": study, "tracker": asdict(tracked)}
    assert process.stdin is not None
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    return process


def track(
    study: Study,
    tracker: Annotated[str, typer.Argument(help="mlflow[=URI] or tensorboard=DIR.")],
    storage: Storage = None,
) -> None:
    """Copy a study to a tracker, or bring the copy up to date.

    Example: trainstack track digits tensorboard=runs
    """
    from trainstack.search.tracking.mirroring import Mirroring, TrackerAwayError

    (tracked,) = read_trackers([tracker])
    with reach(storage) as (_, engine):
        mirroring = Mirroring(engine, study, tracked)
        try:
            mirroring.round()
        except TrackerAwayError as error:
            raise RequestError(
                f"{tracked.flag} cannot be reached ({error})",
                "a tracker that answers",
                "start it, and repeat the command",
            ) from None
    out().print(f"{tracked.flag} has {mirroring.count} runs of '{study}'", markup=False)
