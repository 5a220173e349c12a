"""Bulk reading of Optuna's trials.

Optuna itself reads through its object mapper, 1 to 2 ms per trial, and parses each parameter's
distribution twice. The result here is the same.
"""

from __future__ import annotations

import functools
import json
import math
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timezone
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, text

_NUMBERS = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}
_WANTED = "t.study_id = :study AND (t.trial_id > :last OR t.trial_id = ANY(:also))"
_TRIALS = f"SELECT t.* FROM trials t WHERE {_WANTED} ORDER BY t.trial_id"


def read_trials(
    engine: Engine, study_id: int, last: int = -1, also: Collection[int] = ()
) -> list[FrozenTrial]:
    """Read an Optuna study's trials in a constant number of queries.

    Args:
        engine: The database.
        study_id: Optuna's id of the study.
        last: Read only trials whose id is greater.
        also: Ids of further trials to read.
    """
    asked = {"study": study_id, "last": last, "also": list(also)}
    snapshot = engine.connect().execution_options(isolation_level="REPEATABLE READ")
    with snapshot as connection:
        rows = connection.execute(text(_TRIALS), asked).all()
        if not rows:
            return []
        read = functools.partial(_by_trial, connection, asked)
        params = read("trial_params", "param_name, param_value, distribution_json", "param_id")
        values = read("trial_values", "objective, value, value_type", "objective")
        steps = read(
            "trial_intermediate_values",
            "step, intermediate_value, intermediate_value_type",
            "trial_intermediate_value_id",
        )
        user = read("trial_user_attributes", "key, value_json", "trial_user_attribute_id")
        system = read("trial_system_attributes", "key, value_json", "trial_system_attribute_id")
    found = []
    for row in rows:
        key = row.trial_id
        drawn = {name: (_distribution(how), value) for name, value, how in params[key]}
        found.append(
            FrozenTrial(
                number=row.number,
                state=TrialState[row.state],
                value=None,
                values=[_number(value, kind) for _, value, kind in values[key]] or None,
                datetime_start=_here(row.datetime_start),
                datetime_complete=_here(row.datetime_complete),
                params={name: how.to_external_repr(value) for name, (how, value) in drawn.items()},
                distributions={name: how for name, (how, _) in drawn.items()},
                user_attrs={name: json.loads(value) for name, value in user[key]},
                system_attrs={name: json.loads(value) for name, value in system[key]},
                intermediate_values={step: _number(v, kind) for step, v, kind in steps[key]},
                trial_id=key,
            )
        )
    return found


def _by_trial(
    connection: Connection, asked: dict[str, Any], name: str, columns: str, order: str
) -> dict[int, list[Any]]:
    """Return the rows of one of Optuna's tables, grouped by trial."""
    query = (
        f"SELECT c.trial_id, {', '.join('c.' + part for part in columns.split(', '))} "
        f"FROM {name} c JOIN trials t ON t.trial_id = c.trial_id WHERE {_WANTED} ORDER BY c.{order}"
    )
    found: dict[int, list[Any]] = defaultdict(list)
    for trial_id, *cells in connection.execute(text(query), asked):
        found[trial_id].append(cells)
    return found


@functools.lru_cache(maxsize=4096)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def _number(value: float | None, kind: str) -> float:
    return _NUMBERS[kind] if value is None else value


def _here(moment: datetime | None) -> datetime | None:
    """Convert a time from Optuna's tables (UTC) to naive local time, as Optuna returns it."""
    if moment is None:
        return None
    return moment.replace(tzinfo=timezone.utc).astimezone().replace(tzinfo=None)
