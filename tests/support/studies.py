"""Helpers for studies without training: a spec, a judge, results, and the invariant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from sqlalchemy import URL, Engine, func, select

from trainstack.search.conditions import PLAIN, Condition
from trainstack.search.data_spec import DataSpec
from trainstack.search.database.connection import engine
from trainstack.search.database.schema import studies, tasks
from trainstack.search.json_values import json_safe
from trainstack.search.queue import attempts, claiming
from trainstack.search.queue.queries import _status
from trainstack.search.queue.rows import study_of
from trainstack.search.records import COUNTED, SEARCH, Measurement, Result, Run
from trainstack.search.sampling.optuna_export import OptunaExport
from trainstack.search.spec import StudySpec
from trainstack.search.studies.actions import create_study
from trainstack.search.studies.worker_client import WorkerCard, WorkerClient
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

CARD = WorkerCard("host", 1, "cpu", 1, "0")
DATA = DataSpec("digits", None, "classification", "f00d", 64, ("0", "1"))


def spec_of(study: str = "s", **changes: Any) -> StudySpec:
    """Return a small spec."""
    asked: dict[str, Any] = {
        "trials": 6,
        "epochs": 9,
        "replicates": 2,
        "sampler": "random",
        "pruner": "none",
    }
    asked |= {"data": DATA, "space": Space.named("chapter").to_json()}
    return StudySpec(study=study, **{**asked, **changes})


@dataclass(frozen=True)
class Plan:
    """A confirmation run, or a choice."""

    stack: Stack
    seed_index: int = 0
    seed: int = 0
    label: str | None = None
    baseline: Stack = CHAPTER_DEFAULT
    condition: Condition = PLAIN

    def seeds(self, replicates: int) -> range:
        """The runs to measure, of a choice."""
        return range(replicates)

    @property
    def stack_id(self) -> str:
        """Identity of its runs."""
        return self.condition.identity(self.stack)


class FakeJudge:
    """Confirms the best stack and the baseline with `replicates` seeds, then chooses the best."""

    def _best(self, runs: Sequence[Run]) -> Stack | None:
        done = [r for r in runs if r.phase == SEARCH and r.finished and r.value is not None]
        return min(done, key=lambda r: (r.value or 0.0, r.number)).stack if done else None

    def next_runs(self, spec: StudySpec, runs: Sequence[Run]) -> list[Plan]:
        best = self._best(runs)
        if best is None:
            return []
        have = {(r.stack_id, r.seed_index) for r in runs if r.phase != SEARCH}
        wanted = [
            Plan(stack, index, 1000 + index)
            for stack in dict.fromkeys((best, CHAPTER_DEFAULT))
            for index in range(spec.replicates)
        ]
        return [p for p in wanted if (p.stack.stack_id, p.seed_index) not in have]

    def choice(self, spec: StudySpec, runs: Sequence[Run]) -> Plan | None:
        best = self._best(runs)
        return None if best is None else Plan(best)


def open_client(url: URL, study: str = "s", **options: Any) -> WorkerClient:
    """Join a study with a judge that does not use statistics."""
    return WorkerClient.open(url, study, CARD, **{"judge": FakeJudge(), **options})


def begun(url: URL, **changes: Any) -> WorkerClient:
    """Create a study without references and join it."""
    spec = spec_of(**changes)
    create_study(url, spec, first=())
    return open_client(url, spec.study)


def dies_drawing(here: WorkerClient) -> None:
    """Let a worker claim a search trial and die before its stack is drawn."""
    row = claiming.claim(here._engine, here.study_id, here.worker_id, 60.0)
    assert row is not None
    attempts.give_back(
        here._engine, row.task_id, row.token, "lease expired: the worker stopped responding"
    )


def exported(url: URL, study: str = "s") -> optuna.Study:
    """Export a study to Optuna's storage and load it through Optuna's own function."""
    export = OptunaExport(engine(url), study)
    export.finish()
    return optuna.load_study(study_name=study, storage=url.render_as_string(hide_password=False))


def epochs(count: int, start: int = 1) -> list[Measurement]:
    """Return plausible measurements of `count` epochs."""
    return [Measurement(e, 1 / e, 2 / e, 0.5, 0.1) for e in range(start, start + count)]


def completed(value: float = 0.5) -> Result:
    """Return a finished trial's result."""
    return Result("completed", value, 2, tuple(epochs(3)), {"accuracy": 0.9}, {"total": 1.0})


def agrees(engine: Engine, study: str = "s") -> dict[str, Any]:
    """Check the counting invariant, and held places by a recount; return the status as JSON."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        row = connection.execute(select(studies).where(studies.c.name == study)).one()
        found = json_safe(_status(connection, study_of(row)))
        words = func.coalesce(tasks.c.outcome, tasks.c.status)
        recount = connection.execute(
            select(words, func.count())
            .where(tasks.c.study_id == row.study_id, tasks.c.kind == SEARCH)
            .group_by(words)
        )
        per_word = {r[0]: r[1] for r in recount}
    counts, budget = found["counts"], found["budget"]["trials"]
    held = sum(counts[word] for word in (*COUNTED, "running", "waiting"))
    assert held <= budget, found
    if found["phase"] != "searching":
        assert held == budget, found
    assert row.held == held, (row.held, found)
    assert row.failed == per_word.get("failed", 0)
    assert row.voided == per_word.get("voided", 0)
    return found


def work_off(here: WorkerClient, value: float = 0.5, most: int = 200) -> str:
    """Finish all claimable tasks until the study concludes or is stopped."""
    for _ in range(most):
        state = here.advance()
        lease = here.claim()
        if lease is None:
            if state in ("concluded", "paused", "stopped"):
                return state
            continue
        here.finish(lease, completed(value))
    raise AssertionError(f"not at rest after {most} tasks")
