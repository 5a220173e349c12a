"""`pause`, `resume`, `stop`, `cancel`, `void`: what people do to a study that runs."""

from __future__ import annotations

from typing import Annotated

import typer

from search.cli.common import Storage, Study, out


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (pause, resume, stop, cancel, void):
        app.command()(verb)


def _wish(storage: str | None, study: str, wanted: str) -> None:
    from search.fleet.connect import storage_url
    from search.fleet.studies import wish

    state = wish(storage_url(storage), study, wanted)
    out().print(f"{study}: {state}", markup=False)


def pause(study: Study, storage: Storage = None) -> None:
    """Start no new trials; those that run go on to their end."""
    _wish(storage, study, "pause")


def resume(study: Study, storage: Storage = None) -> None:
    """Go on after `pause`, `stop` or `cancel`."""
    _wish(storage, study, "go")


def stop(study: Study, storage: Storage = None) -> None:
    """Let running trials finish, then conclude with what there is."""
    _wish(storage, study, "stop")


def cancel(study: Study, storage: Storage = None) -> None:
    """End running trials now; they go back to the queue."""
    _wish(storage, study, "cancel")


def void(
    study: Study,
    trial: Annotated[int, typer.Argument(min=0, max=2**31 - 1, help="Number of the trial.")],
    reason: Annotated[str, typer.Option(help="Why it says nothing.")],
    storage: Storage = None,
) -> None:
    """Take a spoilt trial out of the evidence; sampler and counts forget it."""
    from search.fleet.connect import storage_url
    from search.fleet.studies import void_trial

    void_trial(storage_url(storage), study, trial, reason)
    out().print(f"{study}: trial {trial} is void ({reason})", markup=False)
