"""The few columns of Optuna's own tables that no function of Optuna's lets us ask for or change."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Engine, Enum, and_, column, delete, func, select, table, update
from sqlalchemy.dialects.postgresql import insert

from search.fleet.tables import tasks

# On a trial's system attributes: the task that it was made for.
TASK_KEY = "trainstack:task"

_state = Enum("RUNNING", "WAITING", "COMPLETE", "PRUNED", "FAIL", name="trialstate")
_trials = table(
    "trials",
    column("trial_id"),
    column("study_id"),
    column("state", _state),
    column("datetime_start"),
)
_values = table("trial_intermediate_values", column("trial_id"))
_attributes = table(
    "trial_system_attributes", column("trial_id"), column("key"), column("value_json")
)
_OPEN = ("RUNNING", "WAITING")


def orphans(engine: Engine, study_id: int, older_than_seconds: float) -> list[int]:
    """Return open trials of nobody: made by a worker that then lost its lease and died.

    Args:
        engine: Where.
        study_id: Optuna's id of the study.
        older_than_seconds: Leave younger ones alone: their worker may be about to claim them.
    """
    linked = select(tasks.c.task_id).where(tasks.c.trial_id == _trials.c.trial_id)
    ago = func.make_interval(0, 0, 0, 0, 0, 0, older_than_seconds)
    with engine.connect() as connection:
        found = connection.execute(
            select(_trials.c.trial_id)
            .where(_trials.c.study_id == study_id, _trials.c.state.in_(_OPEN))
            .where(_trials.c.datetime_start < func.timezone("UTC", func.now()) - ago)
            .where(~linked.exists())
        )
        return list(found.scalars())


def made_for(engine: Engine, study_id: int, task_id: int) -> int | None:
    """Return the open trial that was made for a task, perhaps never written down there.

    Args:
        engine: Where.
        study_id: Optuna's id of the study.
        task_id: Ours of the task.
    """
    made = and_(_attributes.c.key == TASK_KEY, _attributes.c.value_json == str(task_id))
    with engine.connect() as connection:
        return connection.execute(
            select(_trials.c.trial_id)
            .join_from(_trials, _attributes, _trials.c.trial_id == _attributes.c.trial_id)
            .where(_trials.c.study_id == study_id, made, _trials.c.state.in_(_OPEN))
            .order_by(_trials.c.trial_id)
            .limit(1)
        ).scalar()


def forget_curve(engine: Engine, trial_id: int) -> None:
    """Take away what an earlier attempt reported: a verdict is on the present one alone."""
    rung = _attributes.c.key.like("completed\\_rung\\_%")
    with engine.begin() as connection:
        connection.execute(delete(_values).where(_values.c.trial_id == trial_id))
        connection.execute(delete(_attributes).where(_attributes.c.trial_id == trial_id, rung))


def forget(engine: Engine, trial_ids: Iterable[int]) -> None:
    """Make finished trials failed ones, of which samplers take no notice."""
    with engine.begin() as connection:
        connection.execute(
            update(_trials).where(_trials.c.trial_id.in_(list(trial_ids))).values(state="FAIL")
        )


def say_once(connection: Connection, trial_id: int, key: str, value_json: str) -> None:
    """Give a trial a system attribute, unless it has one of that key; it may have ended."""
    new = insert(_attributes).on_conflict_do_nothing()
    connection.execute(new.values(trial_id=trial_id, key=key, value_json=value_json))
