"""Direct writes of trials to Optuna's tables.

Optuna writes each parameter, attribute and value in a separate transaction after three queries:
about 140 statements per trial. Here each step of a trial takes a few statements in the caller's
transaction, which also writes the task's row, so that both stay consistent. Writes to a deleted
trial have no effect. The rows are those that Optuna's own functions write
(`optuna/storages/_rdb/models.py`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, text

from trainstack.spaces.errors import StudyError

_NOW = "timezone('UTC', clock_timestamp())"
_OTHERS_WAIT = text("SELECT 1 FROM studies WHERE study_id = :study FOR UPDATE")
# Trial numbers have no gaps (Optuna counts the earlier trials) and follow the ids.
_CREATE = text(
    "INSERT INTO trials (study_id, number, state, datetime_start) "
    "SELECT :study, coalesce((SELECT number + 1 FROM trials WHERE study_id = :study "
    f"  ORDER BY trial_id DESC LIMIT 1), 0), 'RUNNING', {_NOW} "
    "RETURNING trial_id, number"
)
_AGAIN = text(
    f"UPDATE trials SET state = 'RUNNING', datetime_start = {_NOW}, datetime_complete = NULL "
    "WHERE trial_id = :trial"
)
_WAIT = text(
    "UPDATE trials SET state = 'WAITING' WHERE trial_id = :trial AND state = 'RUNNING' "
    "AND EXISTS (SELECT FROM trainstack_tasks k WHERE k.trial_id = :trial "
    "  AND k.status = 'waiting')"
)
_END = text(
    f"UPDATE trials SET state = CAST(:state AS trialstate), datetime_complete = {_NOW} "
    "WHERE trial_id = :trial"
)
_VALUE = text(
    "INSERT INTO trial_values (trial_id, objective, value, value_type) "
    "SELECT trial_id, 0, :value, 'FINITE' FROM trials WHERE trial_id = :trial "
    "ON CONFLICT (trial_id, objective) DO UPDATE SET value = excluded.value"
)
_PARAMETERS = text(
    "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) "
    "SELECT trial_id, new.* FROM trials, unnest(CAST(:names AS text[]), "
    "  CAST(:numbers AS double precision[]), CAST(:hows AS text[])) AS new "
    "WHERE trial_id = :trial "
    "ON CONFLICT (trial_id, param_name) DO NOTHING"
)
_STEPS = text(
    "INSERT INTO trial_intermediate_values "
    "  (trial_id, step, intermediate_value, intermediate_value_type) "
    "SELECT trial_id, step, value, CAST(kind AS trialintermediatevaluetype) FROM trials, "
    "unnest(CAST(:steps AS integer[]), CAST(:numbers AS double precision[]), "
    "  CAST(:kinds AS text[])) AS new (step, value, kind) WHERE trial_id = :trial "
    "ON CONFLICT (trial_id, step) DO UPDATE SET intermediate_value = "
    "excluded.intermediate_value, intermediate_value_type = excluded.intermediate_value_type"
)
_FORGET_STEPS = text("DELETE FROM trial_intermediate_values WHERE trial_id = :trial")
# Pruners store a trial's value at a rung in these attributes.
_FORGET_RUNGS = text(
    "DELETE FROM trial_system_attributes "
    r"WHERE trial_id = :trial AND key LIKE 'completed\_rung\_%'"
)
_FORGET = text("UPDATE trials SET state = 'FAIL' WHERE trial_id = ANY(:trials)")


def _upsert(table: str, conflict: str) -> Any:
    return text(
        f"INSERT INTO {table} (trial_id, key, value_json) "
        "SELECT trial_id, new.* FROM trials, "
        "unnest(CAST(:keys AS text[]), CAST(:texts AS text[])) AS new WHERE trial_id = :trial "
        f"ON CONFLICT (trial_id, key) DO {conflict}"
    )


_USER_ATTRIBUTES = _upsert("trial_user_attributes", "UPDATE SET value_json = excluded.value_json")
_SYSTEM_ATTRIBUTES = _upsert("trial_system_attributes", "NOTHING")


def begin(
    connection: Connection, study_id: int, user: Mapping[str, Any], system: Mapping[str, Any]
) -> tuple[int, int]:
    """Create a running trial.

    Args:
        connection: The transaction; other creations of trials in the study wait for its end.
        study_id: Optuna's id of the study.
        user: User attributes of the trial.
        system: System attributes of the trial.

    Returns:
        Optuna's id and number of the trial.

    Raises:
        StudyError: The study was deleted with Optuna's tools.
    """
    if connection.execute(_OTHERS_WAIT, {"study": study_id}).first() is None:
        raise StudyError("the study is gone from Optuna's tables", hint="start one of another name")
    trial_id, number = connection.execute(_CREATE, {"study": study_id}).one()
    set_user_attributes(connection, trial_id, user)
    add_system_attributes(connection, trial_id, system)
    return trial_id, number


def again(connection: Connection, trial_id: int) -> None:
    """Restart a trial and delete what an earlier attempt reported.

    Pruning then considers the current attempt only.
    """
    for statement in (_FORGET_STEPS, _FORGET_RUNGS, _AGAIN):
        connection.execute(statement, {"trial": trial_id})


def drawn(connection: Connection, trial_id: int, found: Mapping[str, tuple[float, str]]) -> None:
    """Write a trial's parameters: name → Optuna's internal value and the distribution as JSON."""
    if found:
        numbers, hows = zip(*found.values(), strict=True)
        columns = {"names": list(found), "numbers": list(numbers), "hows": list(hows)}
        connection.execute(_PARAMETERS, {"trial": trial_id, **columns})


def report(connection: Connection, trial_id: int, losses: Mapping[int, float]) -> None:
    """Write a trial's validation losses by step; repeating a write is harmless."""
    if losses:
        numbers = [loss if math.isfinite(loss) else None for loss in losses.values()]
        kinds = [_kind(loss) for loss in losses.values()]
        columns = {"steps": list(losses), "numbers": numbers, "kinds": kinds}
        connection.execute(_STEPS, {"trial": trial_id, **columns})


def _kind(value: float) -> str:
    if math.isnan(value):
        return "NAN"
    return "FINITE" if math.isfinite(value) else "INF_POS" if value > 0 else "INF_NEG"


def wait(connection: Connection, trial_id: int) -> None:
    """Mark a trial that was given back as waiting, unless it has been claimed again."""
    connection.execute(_WAIT, {"trial": trial_id})


def end(connection: Connection, trial_id: int, state: str, value: float | None) -> None:
    """End a trial in one of Optuna's states, with a finite value or none."""
    if value is not None:
        connection.execute(_VALUE, {"trial": trial_id, "value": value})
    connection.execute(_END, {"trial": trial_id, "state": state})


def set_user_attributes(
    connection: Connection, trial_id: int, attributes: Mapping[str, Any]
) -> None:
    """Set user attributes of a trial, which Optuna's tools show."""
    _set(_USER_ATTRIBUTES, connection, trial_id, attributes)


def add_system_attributes(
    connection: Connection, trial_id: int, attributes: Mapping[str, Any]
) -> None:
    """Add system attributes to a trial, which may have ended; existing keys are kept."""
    _set(_SYSTEM_ATTRIBUTES, connection, trial_id, attributes)


def _set(
    statement: Any, connection: Connection, trial_id: int, attributes: Mapping[str, Any]
) -> None:
    if attributes:
        texts = [json.dumps(value) for value in attributes.values()]
        columns = {"keys": list(attributes), "texts": texts}
        connection.execute(statement, {"trial": trial_id, **columns})


def forget(connection: Connection, trial_ids: Iterable[int]) -> None:
    """Mark finished trials as failed, so that samplers ignore them."""
    connection.execute(_FORGET, {"trials": list(trial_ids)})
