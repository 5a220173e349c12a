"""Operations on studies by the database's URL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from sqlalchemy import URL

from trainstack.search.artifacts import open_store
from trainstack.search.database.connection import artifacts, connected, parse_url
from trainstack.search.database.schema import ensure
from trainstack.search.queue import study_store
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError, TrainstackError
from trainstack.spaces.stack import Stack


def create_study(
    url: URL | str, spec: StudySpec, first: Iterable[tuple[str | None, Stack]] | None = None
) -> bool:
    """Create a study, unless one with the same spec exists.

    Args:
        url: The database.
        spec: The spec.
        first: Labelled stacks to train before sampling starts; by default the reference stacks.
            Ignored if the spec names its stacks.

    Returns:
        True if the study was created, False if it existed.

    Raises:
        RequestError: The spec names a sampler or a pruner that does not exist.
        StorageAwayError: The database does not answer.
        StudyError: A study of that name has another spec, or was created by Optuna itself.
    """
    from trainstack.search.sampling.optuna_storage import refuse_foreign
    from trainstack.search.sampling.pruning import pruner
    from trainstack.search.sampling.samplers import sampler

    # Reject unknown names before writing anything.
    sampler(spec, 0)
    pruner(spec.pruner)
    if first is None:
        from trainstack.spaces.references import REFERENCES

        first = REFERENCES.items()
    url = parse_url(url) if isinstance(url, str) else url
    with connected(url) as here:
        ensure(here)
        refuse_foreign(here, spec.study)
        return study_store.create(here, spec, first)


def request_state(url: URL | str, name: str, wanted: str) -> str:
    """Pause, resume (`go`), stop or cancel a study, and return its state as `status` shows it.

    Raises:
        StorageAwayError: The database does not answer.
        StudyError: There is no such study.
    """
    url = parse_url(url) if isinstance(url, str) else url
    with connected(url) as here:
        ensure(here)
        return study_store.request_state(here, name, wanted)


def reason_in_words(reason: str) -> str:
    """Return the reason for voiding a trial in one line.

    Raises:
        RequestError: It is empty.
    """
    words = " ".join(reason.split())
    if not words:
        raise RequestError("the reason is empty", "why the trial is spoilt")
    return words


def void_trial(url: URL | str, name: str, number: int, reason: str) -> None:
    """Remove an invalid search trial from the evidence, the counts and the sampler's history.

    Its files are removed too, if the artifact store is within reach; nothing reads them any more.

    Raises:
        RequestError: There is no such trial, it has not ended, or the reason is empty.
        StorageAwayError: The database does not answer.
        StudyError: There is no such study.
    """
    reason = reason_in_words(reason)
    url = parse_url(url) if isinstance(url, str) else url
    with connected(url) as here:
        ensure(here)
        files = study_store.void(here, name, number, reason)
    with contextlib.suppress(OSError, TrainstackError):
        for file in files:
            open_store(artifacts()).remove(file)
