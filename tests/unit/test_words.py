"""Columns of words are compared with members of enumerations."""

from __future__ import annotations

import pytest
from sqlalchemy import func, inspection

from trainstack.search.database.schema import studies, tasks
from trainstack.search.records import COUNTED, Phase, RequestedState, Status, TaskKind


def test_a_word_needs_no_inspection(monkeypatch: pytest.MonkeyPatch) -> None:
    """No comparison asks the ORM, which another thread may be importing."""
    monkeypatch.setattr(inspection, "inspect", lambda *_: pytest.fail("inspected"))
    for clause in (
        tasks.c.kind == TaskKind.SEARCH,
        tasks.c.status != Status.DONE,
        tasks.c.outcome.in_(COUNTED),
        func.coalesce(tasks.c.outcome, tasks.c.status) == Status.WAITING,
        studies.c.phase == Phase.SEARCHING,
        studies.c.requested_state == RequestedState.GO,
    ):
        assert clause.compile().params
