"""Creating a study, or resuming the one of its name; its files in the artifact store."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainstack.search.cli import signals
from trainstack.search.cli.common import err, out, print_json

if TYPE_CHECKING:
    from trainstack.search.data.dataset import Dataset
    from trainstack.search.saved_model import SavedModel
    from trainstack.search.spec import StudySpec
    from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class Detached:
    """A study created without workers.

    Attributes:
        study: The study's name.
        worker: The command that starts a worker.
    """

    study: str
    worker: str


def prepare_artifacts(shared: Dataset | None, saved: Iterable[SavedModel]) -> None:
    """Check the artifact store, and upload the data to be shared and the saved models."""
    from trainstack.search.artifacts import open_store
    from trainstack.search.database.connection import ARTIFACTS, artifacts

    store = open_store(artifacts())
    store.check()
    for model in saved:
        model.share(store)
    if shared is None:
        return
    from trainstack.search.data.sharing import share

    name = share(shared, store)
    err().print(f"the data is shared: {name} in {store}", markup=False)
    if ARTIFACTS not in os.environ:
        err().print(f"set {ARTIFACTS} to a location that other machines can reach", markup=False)


def create(
    spec: StudySpec, storage: str | None, first: Iterable[tuple[str | None, Stack]] = ()
) -> Any:
    """Create a study or resume the one of that name; return the storage's URL.

    Args:
        spec: The spec.
        storage: As the user gives it.
        first: Labelled stacks to train before sampling starts.

    Raises:
        StorageAwayError: The storage does not answer.
        StudyError: The study of that name has another spec.
    """
    from trainstack.search.database.connection import storage_url
    from trainstack.search.studies.actions import create_study

    signals.check()
    url = storage_url(storage)
    created = create_study(url, spec, first)
    signals.say("interrupted: repeat the command to resume the study")
    word = "new study" if created else "resuming study"
    err().print(f"{word} '{spec.study}'", markup=False)
    if not created:
        _set_going(url, spec.study)
    return url


def _set_going(url: Any, study: str) -> None:
    """Resume a study that was stopped or cancelled, since it is launched again."""
    from trainstack.search.database.connection import connected
    from trainstack.search.queue import queries
    from trainstack.search.studies.actions import request_state

    with connected(url) as here:
        state = queries.status(here, study).state
    if state == "stopped":
        request_state(url, study, "go")
        err().print("resuming stopped study", markup=False)
    elif state == "paused":
        err().print(f"it is paused until `trainstack resume {shlex.quote(study)}`", markup=False)


def print_detached(study: str, as_json: bool) -> None:
    """Print how workers join a study that was created without any."""
    worker = f"trainstack worker {shlex.quote(study)}"
    if as_json:
        print_json(Detached(study, worker))
        return
    out().print(f"start workers with: {worker}", markup=False)
