"""Optuna's storage in our database, and the Optuna study that stands for one of ours."""

from __future__ import annotations

import warnings

import optuna
from optuna.storages import RDBStorage
from sqlalchemy import Engine, inspect, select

from trainstack.search.database.connection import engine_options
from trainstack.search.database.schema import creating, studies
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import StudyError

SPEC_KEY = "trainstack:spec"
# A table of Optuna's, by which its storage is recognized.
_OPTUNAS_STUDIES = "studies"


def open_storage(here: Engine) -> RDBStorage:
    """Open Optuna's storage in a database, created if missing; safe for concurrent processes.

    It has connections of its own, which the caller disposes of.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with here.begin() as connection:
        creating(connection)
        text = here.url.render_as_string(hide_password=False)
        return RDBStorage(text, engine_kwargs=engine_options(here.url))


def ensure_study(storage: RDBStorage, spec: StudySpec) -> int:
    """Create the Optuna study of a spec if it is missing, and return its id.

    Raises:
        StudyError: Other software created a study of this name and has trained in it.
    """
    try:
        copy_id = storage.get_study_id_from_name(spec.study)
    except KeyError:
        copy_id = None
    if copy_id is not None and SPEC_KEY in storage.get_study_user_attrs(copy_id):
        return copy_id
    if copy_id is not None and storage.get_all_trials(copy_id, deepcopy=False):
        raise _foreign(spec.study)
    study = optuna.create_study(
        study_name=spec.study, storage=storage, direction="minimize", load_if_exists=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # metric names are experimental in Optuna
        study.set_metric_names([f"validation {Deciding.of(spec).objective}"])
    study.set_user_attr(SPEC_KEY, spec.to_json())
    return storage.get_study_id_from_name(spec.study)


def _foreign(name: str) -> StudyError:
    return StudyError(
        f"'{name}' is an Optuna study that was not created by trainstack",
        hint="give another --study",
    )


def refuse_foreign(here: Engine, name: str) -> None:
    """Check that the database has no Optuna study of this name created by other software.

    Raises:
        StudyError: There is such a study.
    """
    if not inspect(here).has_table(_OPTUNAS_STUDIES):
        return  # Optuna's storage is created by the first export
    storage = open_storage(here)
    try:
        names = optuna.get_all_study_names(storage)
    finally:
        storage.engine.dispose()
    # Checked after Optuna: a process that creates this study writes the fleet's row first.
    with here.connect() as connection:
        ours = connection.execute(select(studies.c.name).where(studies.c.name == name)).first()
    if name in names and ours is None:
        raise _foreign(name)


def delete_copy(here: Engine, name: str) -> None:
    """Delete the Optuna study of one of ours, if there is one."""
    if not inspect(here).has_table(_OPTUNAS_STUDIES):
        return
    storage = open_storage(here)
    try:
        copy_id = storage.get_study_id_from_name(name)
        if SPEC_KEY in storage.get_study_user_attrs(copy_id):
            storage.delete_study(copy_id)
    except KeyError:
        return
    finally:
        storage.engine.dispose()
