"""The counts add up after any sequence of events."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import URL, Engine, func, update

from tests.support.studies import agrees, completed, open_client, spec_of
from trainstack.search.database.schema import tasks
from trainstack.search.queue import study_store
from trainstack.search.queue.queries import runs
from trainstack.search.records import SEARCH, Result
from trainstack.search.studies.actions import create_study, request_state, void_trial
from trainstack.search.studies.worker_client import INTERRUPTED, Lease, LeaseLost

pytestmark = pytest.mark.postgres
ENDINGS = [
    completed(0.5),
    Result("pruned", 0.75),
    Result("diverged", cause="loss not finite"),
    Result("failed", cause="a bug"),
]


def test_counts_add_up(url: URL, database: Engine) -> None:
    """Claims, endings, deaths, voids and user requests in any order keep the counting invariant."""
    numbers = itertools.count()

    class Fleet(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.study = f"s{next(numbers)}"
            create_study(url, spec_of(study=self.study, trials=4))
            self.client = open_client(url, self.study)
            self.leases: list[Lease] = []

        def some(self, pick: int) -> Lease | None:
            return self.leases.pop(pick % len(self.leases)) if self.leases else None

        @rule(times=st.integers(1, 3))
        def claim(self, times: int) -> None:
            self.leases += [lease for _ in range(times) if (lease := self.client.claim())]

        @rule(pick=st.integers(0, 9), result=st.sampled_from(ENDINGS))
        def finish(self, pick: int, result: Result) -> None:
            if lease := self.some(pick):
                self.fenced(self.client.finish, lease, result)

        @rule(pick=st.integers(0, 9), cause=st.sampled_from([INTERRUPTED, "trainer died"]))
        def give_back(self, pick: int, cause: str) -> None:
            if lease := self.some(pick):
                self.fenced(self.client.give_back, lease, cause)

        def fenced(self, act: Any, *arguments: Any) -> None:
            try:
                act(*arguments)
            except LeaseLost:
                self.leases = []  # only workers that died together lose their leases

        @rule()
        def all_die(self) -> None:
            with database.begin() as connection:
                past = func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 1)
                connection.execute(update(tasks).values(lease_until=past))
            self.client.requeue_expired()

        @rule(pick=st.integers(0, 9))
        def void(self, pick: int) -> None:
            ended = [r for r in runs(database, self.study, SEARCH) if r.finished]
            if ended:
                void_trial(url, self.study, ended[pick % len(ended)].number, "spoilt")

        @rule(
            wanted=st.sampled_from(
                [study_store.GO, study_store.GO, study_store.PAUSE, study_store.STOP]
            )
        )
        def request_state(self, wanted: str) -> None:
            request_state(url, self.study, wanted)

        @rule()
        def advance(self) -> None:
            self.client.advance()

        @invariant()
        def adds_up(self) -> None:
            agrees(database, self.study)

        def teardown(self) -> None:
            """From every state the study can be brought to its end."""
            request_state(url, self.study, study_store.GO)
            self.all_die()
            for _ in range(60):
                if self.client.advance() == "concluded":
                    break
                if lease := self.client.claim():
                    self.client.finish(lease, completed(0.25))
            assert agrees(database, self.study)["state"] == "concluded"
            self.client.leave()

    run_state_machine_as_test(
        Fleet,
        settings=settings(
            max_examples=8,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
