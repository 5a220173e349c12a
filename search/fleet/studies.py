"""What people do to studies, on both sides: our tables and Optuna's."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import URL

from search.fleet import ledger
from search.fleet.connect import engine, guarded, parse_url
from search.fleet.tables import ensure
from search.spec import StudySpec
from spaces.stack import Stack


def create_study(
    url: URL | str, spec: StudySpec, first: Iterable[tuple[str | None, Stack]] | None = None
) -> bool:
    """Create a study, or find the one of that name that asks the same.

    Args:
        url: The database.
        spec: What is asked.
        first: Labelled stacks to train before anything is sampled; the reference stacks unless
            given. Not looked at when the spec names its stacks.

    Returns:
        True if it was created, False if it was there.

    Raises:
        RequestError: The spec names a sampler or a pruner that does not exist.
        StorageAwayError: The database does not answer.
        StudyError: A study of that name asks for something else, or is not ours.
    """
    from search.fleet.mirror import ensure_study, open_storage, refuse_foreign
    from search.fleet.pruning import pruner
    from search.fleet.samplers import sampler

    # Unknown names are refused before anything is written.
    sampler(spec, 0)
    pruner(spec.pruner)
    if first is None:
        from spaces.references import REFERENCES

        first = REFERENCES.items()
    url = parse_url(url) if isinstance(url, str) else url
    with guarded(url):
        storage = open_storage(url)
        try:
            ensure(storage.engine)
            refuse_foreign(storage, spec.study)
            created = ledger.create(storage.engine, spec, first)
            ensure_study(storage, spec)
            return created
        finally:
            storage.engine.dispose()


def wish(url: URL | str, name: str, wanted: str) -> str:
    """Pause, resume (`go`), stop or cancel a study; returns the state that people see.

    Raises:
        StorageAwayError: The database does not answer.
        StudyError: There is no such study.
    """
    url = parse_url(url) if isinstance(url, str) else url
    with guarded(url):
        here = engine(url)
        try:
            ensure(here)
            return ledger.wish(here, name, wanted)
        finally:
            here.dispose()


def void_trial(url: URL | str, name: str, number: int, reason: str) -> None:
    """Take a spoilt search trial out of the evidence; the sampler and the counts forget it.

    Raises:
        RequestError: There is no such trial, or it has not ended.
        StorageAwayError: The database does not answer.
        StudyError: There is no such study.
    """
    from search.fleet.mirror import open_storage
    from search.fleet.optunas import forget

    url = parse_url(url) if isinstance(url, str) else url
    with guarded(url):
        storage = open_storage(url)
        try:
            ensure(storage.engine)
            gone = ledger.void(storage.engine, name, number, reason)
            with storage.engine.begin() as connection:
                forget(connection, gone)
        finally:
            storage.engine.dispose()
