"""Planted faults of the queue, and for each the shortest program known that shows it.

A fault is a change of the source's text: the changed module is compiled, and every function whose
code differs gets the new code, wherever it was imported.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from tests.queue_model.programs import (
    a_copy_and_a_void,
    two_claims_and_a_budget,
    two_workers_and_a_reaper,
)

Step = tuple[Any, ...]
# Brings the study to its end, which a stuck task prevents.
END: Step = ("to_the_end",)
CLAIM, RESTART = ("claim", 0), ("restart", 0)
_OTHER_HOLDS = [("claim", 0), ("wait", 61.0), ("reap", 1), ("claim", 1)]


@dataclass(frozen=True)
class Mutant:
    """A planted fault.

    Attributes:
        name: What is wrong.
        module: The module of `search/queue`.
        before: Text that occurs once in it.
        after: The text in its place.
        killer: Operations of `World` in order; or a function of `programs`, all of whose orders
            are tried.
    """

    name: str
    module: str
    before: str
    after: str
    killer: Any


MUTANTS = [
    # Tokens and leases.
    Mutant(
        "a write does not check the token",
        "attempts",
        "held = (tasks.c.token == token) & (tasks.c.status == Status.RUNNING)",
        "held = tasks.c.status == Status.RUNNING",
        [*_OTHER_HOLDS, ("finish", 1)],
    ),
    Mutant(
        "a write does not check that the task is running",
        "attempts",
        "held = (tasks.c.token == token) & (tasks.c.status == Status.RUNNING)",
        "held = tasks.c.token == token",
        [CLAIM, ("finish", 0), ("finish", 0, "failed")],
    ),
    Mutant(
        "a report does not check the token",
        "attempts",
        "query = select(tasks.c.curve, tasks.c.train_curve).where(mine(task_id, token))",
        "query = select(tasks.c.curve, tasks.c.train_curve).where(tasks.c.task_id == task_id)",
        [*_OTHER_HOLDS, ("report", 1)],
    ),
    Mutant(
        "a heartbeat renews without the token whatever its worker runs",
        "attempts",
        "update(tasks).where(mine(*held)).values(",
        "update(tasks).where(tasks.c.worker_id == worker_id).values(",
        [CLAIM, CLAIM, ("wait", 1.0), ("beat", 0)],
    ),
    Mutant(
        "a worker that restarts under its old id keeps its old task's lease alive",
        "attempts",
        "        if held is not None:\n",
        "        connection.execute(update(tasks).where(tasks.c.worker_id == worker_id)"
        ".where(tasks.c.status == Status.RUNNING)"
        ".values(lease_until=seconds_from_now(seconds)))\n"
        "        if held is not None:\n",
        [CLAIM, RESTART, ("wait", 1.0), ("idle", 0)],
    ),
    Mutant(
        "a task is stuck when its worker's row is removed",
        "recovery",
        "running = (tasks.c.study_id == study_id) & (tasks.c.status == Status.RUNNING)",
        "running = (tasks.c.study_id == study_id) & (tasks.c.status == Status.RUNNING)"
        " & tasks.c.worker_id.is_not(None)",
        [CLAIM, ("remove", 0), ("wait", 61.0), ("reap", 1)],
    ),
    Mutant(
        "a removed worker's heartbeat loses its lease",
        "attempts",
        'raise WorkerRemoved(f"worker {worker_id}")',
        "return None",
        [CLAIM, ("remove", 0), ("wait", 1.0), ("beat", 0)],
    ),
    Mutant(
        "a removed worker's task stays without a worker",
        "attempts",
        '{"lease_until": seconds_from_now(seconds), "worker_id": worker_id}',
        '{"lease_until": seconds_from_now(seconds)}',
        [CLAIM, ("remove", 0), ("beat", 0)],
    ),
    Mutant(
        "a removed worker cannot claim",
        "claiming",
        "        present(connection, worker_id)\n        search",
        "        search",
        [("remove", 0), CLAIM],
    ),
    Mutant(
        "a removed worker gets the task back for which it has no room",
        "recovery",
        "avoided_worker=worker_id",
        "avoided_worker=row.worker_id",
        [CLAIM, ("remove", 0), ("no_room", 0)],
    ),
    Mutant(
        "a heartbeat renews for too short a time",
        "attempts",
        '{"lease_until": seconds_from_now(seconds), "worker_id"',
        '{"lease_until": seconds_from_now(seconds / 2), "worker_id"',
        [CLAIM, ("wait", 1.0), ("beat", 0)],
    ),
    Mutant(
        "a lease ends one moment too early",
        "recovery",
        "tasks.c.lease_until < func.clock_timestamp()",
        "tasks.c.lease_until <= func.clock_timestamp()",
        [CLAIM, ("wait", 60.0), ("reap", 1)],
    ),
    Mutant(
        "a lease is taken before its end",
        "recovery",
        "tasks.c.lease_until < func.clock_timestamp()",
        "tasks.c.lease_until < seconds_from_now(3600.0)",
        [CLAIM, ("reap", 1)],
    ),
    Mutant(
        "two attempts get the same token",
        "claiming",
        "secrets.token_hex(8)",
        '"00"',
        [CLAIM, ("give_back", 0), CLAIM],
    ),
    Mutant(
        "a task that waits again keeps its token",
        "attempts",
        '"token": None, "lease_until": None}',
        '"lease_until": None}',
        [CLAIM, ("give_back", 0)],
    ),
    Mutant(
        "a task that has ended keeps its lease",
        "attempts",
        '"status": Status.DONE, "lease_until": None, ',
        '"status": Status.DONE, ',
        [CLAIM, ("finish", 0)],
    ),
    # Attempts and strikes.
    Mutant(
        "a retry forgets its attempt",
        "claiming",
        '"attempts": tasks.c.attempts + 1, ',
        '"attempts": tasks.c.attempts, ',
        [CLAIM, ("give_back", 0), CLAIM],
    ),
    Mutant(
        "an attempt that was given back stays open",
        "attempts",
        'end_attempt(connection, row, "given back", cause)',
        "pass",
        [CLAIM, ("give_back", 0)],
    ),
    Mutant(
        "one strike too many is allowed",
        "attempts",
        "strikes >= MOST_STRIKES",
        "strikes > MOST_STRIKES",
        [step for line in range(3) for step in (("claim", line), ("give_back", 0, "trainer died"))],
    ),
    Mutant(
        "an interruption counts as a strike",
        "attempts",
        "row.strikes + (cause != INTERRUPTED)",
        "row.strikes + 1",
        [CLAIM, ("give_back", 0)],
    ),
    Mutant(
        "a task without room moves from worker to worker for ever",
        "recovery",
        "row.avoided_worker is not None or not other_workers(",
        "not other_workers(",
        [CLAIM, ("no_room", 0), ("claim", 1), ("no_room", 0)],
    ),
    # The budget.
    Mutant(
        "one place too many is opened",
        "claiming",
        "study.held < study.trials",
        "study.held <= study.trials",
        [CLAIM] * 4,
    ),
    Mutant(
        "a failed trial keeps its place",
        "attempts",
        "held, failed = studies.c.held - 1, studies.c.failed + 1",
        "held, failed = studies.c.held, studies.c.failed + 1",
        [CLAIM, ("finish", 0, "failed")],
    ),
    Mutant(
        "a quarantined worker's trials wait again although their places are taken",
        "recovery",
        "if row.kind == SEARCH][:room]",
        "if row.kind == SEARCH]",
        [CLAIM, ("finish", 0, "failed"), *[("claim", 1)] * 3, ("quarantine", 0)],
    ),
    Mutant(
        "a quarantined worker's runs wait again after the study's end",
        "recovery",
        "later = failed_here if study.phase == CONFIRMING else []",
        "later = failed_here",
        [
            ("set_budget", 1),
            *(CLAIM, ("finish", 0), ("advance", 0)),
            *(CLAIM, ("finish", 0, "failed"), CLAIM, ("finish", 0), ("advance", 0)),
            *(CLAIM, ("finish", 0), ("advance", 0), ("quarantine", 0)),
        ],
    ),
    Mutant(
        "the budget of a search that ended early is not reduced",
        "lifecycle",
        '{"trials": studies.c.held, "phase": CONFIRMING}',
        '{"phase": CONFIRMING}',
        [CLAIM, ("finish", 0), ("request", "stop"), ("advance", 0)],
    ),
    Mutant(
        "a trial that was begun once waits for ever after the search",
        "study_store",
        ".where(waiting, tasks.c.attempts > 0)",
        ".where(waiting, tasks.c.attempts > 1)",
        [CLAIM, ("give_back", 0), ("request", "stop"), ("advance", 0), END],
    ),
    # Users.
    Mutant(
        "a paused study goes on",
        "eligibility",
        "study.phase == SEARCHING and study.requested_state == GO",
        "study.phase == SEARCHING",
        [("request", "pause"), CLAIM],
    ),
    Mutant(
        "a failed trial can be voided, and so counts twice",
        "study_store",
        ".where(tasks.c.status == Status.DONE, tasks.c.outcome.in_(COUNTED))",
        ".where(tasks.c.status == Status.DONE)",
        [CLAIM, ("finish", 0, "failed"), ("void", 0)],
    ),
    Mutant(
        "a voided result lives on in its copies",
        "study_store",
        "or_(tasks.c.task_id == row.task_id, tasks.c.cached_of == row.task_id)",
        "tasks.c.task_id == row.task_id",
        [CLAIM, ("finish", 0), CLAIM, ("finish", 0), CLAIM, ("void", 0)],
    ),
    Mutant(
        "a voided trial keeps its place",
        "study_store",
        '"held": studies.c.held - gone, ',
        "",
        [CLAIM, ("finish", 0), ("void", 0)],
    ),
    # The clock.
    Mutant(
        "after the clock was set back, no lease is looked at",
        "recovery",
        "0.0 <= row[0] < every_seconds",
        "row[0] < every_seconds",
        [("claim", 1), ("wait", 1.0), ("wait", -4000.0), ("maintain", 0)],
    ),
    Mutant(
        "after the clock was set back, leases last as long as before",
        "recovery",
        "not 0.0 <= unwatched <= watched_seconds",
        "unwatched > watched_seconds",
        [("claim", 1), ("wait", 1.0), ("wait", -4000.0), ("maintain", 0)],
    ),
    Mutant(
        "a lease's end is read from the worker's clock",
        "attempts",
        '{"lease_until": seconds_from_now(seconds), "worker_id"',
        '{"lease_until": __import__("datetime").datetime.now().astimezone()'
        ' + __import__("datetime").timedelta(seconds=seconds), "worker_id"',
        [CLAIM, ("beat", 0)],
    ),
    # Optuna's copy.
    Mutant(
        "a voided trial stays in Optuna's copy",
        "study_store",
        "cause=reason, exported=False",
        "cause=reason",
        [CLAIM, ("finish", 0), ("export", 0), ("void", 0), ("export", 0)],
    ),
    Mutant(
        "a quarantined worker's trial that waits again has failed in Optuna's copy",
        "recovery",
        "            exported=False,\n",
        "",
        [CLAIM, ("finish", 0, "failed"), ("export", 0), ("quarantine", 0), ("export", 0)],
    ),
    # Concurrency.
    Mutant(
        "a claim reads the budget without the lock",
        "claiming",
        "study = locked(connection, study_id)\n        present(",
        "study = __import__('trainstack.search.queue.lifecycle', fromlist=['_row'])"
        "._row(connection, study_id)\n        present(",
        two_claims_and_a_budget,
    ),
    Mutant(
        "expired tasks are read without a lock",
        "recovery",
        ".order_by(tasks.c.task_id)\n            .with_for_update()",
        ".order_by(tasks.c.task_id)",
        two_workers_and_a_reaper,
    ),
    Mutant(
        "a result is copied while it is being voided",
        "deduplication",
        ".with_for_update(read=True, key_share=True)\n",
        "\n",
        a_copy_and_a_void,
    ),
    Mutant(
        "a void does not wait for a copy",
        "study_store",
        "tasks.c.number == number).with_for_update()",
        "tasks.c.number == number)",
        a_copy_and_a_void,
    ),
]


@contextlib.contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Plant a fault while the context lasts."""
    module = importlib.import_module(f"trainstack.search.queue.{mutant.module}")
    source = Path(str(module.__file__)).read_text("utf-8")
    assert source.count(mutant.before) == 1, f"{mutant.name}: not once in {mutant.module}"
    changed = ModuleType(module.__name__)
    changed.__dict__.update(__file__=module.__file__, __package__=module.__package__)
    text = source.replace(mutant.before, mutant.after)
    exec(compile(text, f"{module.__file__} ({mutant.name})", "exec"), changed.__dict__)
    old = []
    for name, function in vars(module).items():
        other = vars(changed).get(name)
        if not (isinstance(function, FunctionType) and isinstance(other, FunctionType)):
            continue
        if function.__module__ == module.__name__:  # not imported there
            old.append((function, function.__code__))
            function.__code__ = other.__code__
    try:
        yield
    finally:
        for function, code in old:
            function.__code__ = code
