"""`pause`, `resume`, `stop`, `cancel`, `void`, `set`: control a running study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from trainstack.search.cli.common import Storage, Study, out
from trainstack.spaces.errors import RequestError, nearest


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (pause, resume, stop, cancel, void):
        app.command()(verb)
    app.command("set")(change)


def _wish(storage: str | None, study: str, wanted: str) -> None:
    from trainstack.search.database.connection import storage_url
    from trainstack.search.studies.actions import request_state

    state = request_state(storage_url(storage), study, wanted)
    out().print(f"{study}: {state}", markup=False)


def pause(study: Study, storage: Storage = None) -> None:
    """Start no new trials; running trials finish.

    Example: trainstack pause digits
    """
    _wish(storage, study, "pause")


def resume(study: Study, storage: Storage = None) -> None:
    """Resume a study after `pause`, `stop` or `cancel`.

    Example: trainstack resume digits
    """
    _wish(storage, study, "go")


def stop(study: Study, storage: Storage = None) -> None:
    """Let running trials finish, then conclude from what exists.

    Example: trainstack stop digits
    """
    _wish(storage, study, "stop")


def cancel(study: Study, storage: Storage = None) -> None:
    """End running trials at once and return them to the queue.

    Example: trainstack cancel digits
    """
    _wish(storage, study, "cancel")


def void(
    study: Study,
    trial: Annotated[int, typer.Argument(min=0, max=2**31 - 1, help="Number of the trial.")],
    reason: Annotated[str, typer.Option(help="Reason for excluding the trial.")],
    storage: Storage = None,
) -> None:
    """Exclude a spoilt trial from evidence, sampler and counts.

    Example: trainstack void digits 3 --reason "the machine was throttled"
    """
    from trainstack.search.database.connection import storage_url
    from trainstack.search.studies.actions import reason_in_words, void_trial

    reason = reason_in_words(reason)
    void_trial(storage_url(storage), study, trial, reason)
    out().print(f"{study}: trial {trial} is void ({reason})", markup=False)


def change(
    study: Study,
    changes: Annotated[
        list[str],
        typer.Argument(help="trials=N, timeout=1h, workers=N; one or more.", metavar="KEY=VALUE"),
    ],
    storage: Storage = None,
) -> None:
    """Change the budget or the number of workers of a search.

    Changes take effect within seconds. trials includes those that already exist; timeout counts
    from now; workers is the number that each `launch` and each `trainstack worker` without GPUs
    runs: more are started, surplus ones exit after their trial.

    Example: trainstack set digits trials=200 timeout=1h workers=4
    """
    from trainstack.search.database.connection import storage_url
    from trainstack.search.queue.budget import adjust

    wanted = read_changes(changes)
    for line in adjust(storage_url(storage), study, **wanted):
        out().print(f"{study}: {line}", markup=False)


def read_changes(changes: Sequence[str]) -> dict[str, Any]:
    """Read `trials=200`, `timeout=1h` and `workers=4` as arguments of `adjust`.

    >>> read_changes(["trials=200", "timeout=1h", "workers=4"])
    {'trials': 200, 'timeout_seconds': 3600.0, 'workers': 4}

    Raises:
        RequestError: A key or a value cannot be read.
    """
    from trainstack.search.cli.checks import MOST_TRIALS, MOST_WORKERS, duration

    bounds = {"trials": (1, MOST_TRIALS), "workers": (0, MOST_WORKERS)}
    known = [*bounds, "timeout"]
    found: dict[str, Any] = {}
    for text in changes:
        key, equals, value = text.partition("=")
        if key not in known or not equals:
            raise RequestError(
                f"{text!r}", "trials=N, timeout=1h or workers=N", nearest(key, known)
            )
        if key == "timeout":
            found["timeout_seconds"] = duration(value, "timeout=")
            continue
        least, most = bounds[key]
        if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
            raise RequestError(f"{key}={value}", f"a whole number from {least} to {most}")
        found[key] = int(value)
    return found
