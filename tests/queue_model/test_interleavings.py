"""The queue keeps its promises in every order of its transactions."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.queue_model.bench import Bench
from tests.queue_model.programs import (
    Chooser,
    a_copy_and_a_void,
    a_worker_a_claim_and_a_reaper,
    a_worker_and_its_removal,
    two_claims_and_a_budget,
    two_workers_and_a_reaper,
)
from tests.queue_model.schedule import Run, by_seed, every

pytestmark = pytest.mark.postgres
Short = Callable[[Bench, Chooser], Run]


# Number of orders of each program: it is exact, as each runs once.
ORDERS = [
    (two_claims_and_a_budget, 30),
    (a_copy_and_a_void, 17),
    (a_worker_and_its_removal, 8),
    (a_worker_a_claim_and_a_reaper, 120),
]
# Takes about half a minute of processor time.
ALL = [(two_workers_and_a_reaper, 746)] if os.environ.get("QUEUE_ORDERS") == "all" else []


@pytest.mark.parametrize(("program", "count"), [*ORDERS, *ALL])
def test_every_order(bench: Bench, program: Short, count: int) -> None:
    """A program keeps its promises in every order of its transactions."""
    runs = list(every(lambda choose: program(bench, choose)))
    assert len({run.choices for run in runs}) == len(runs) == count


def test_drawn_orders(bench: Bench) -> None:
    """Two workers keep their results while a reaper takes leases, in orders drawn by seeds."""
    for seed in range(20):
        two_workers_and_a_reaper(bench, by_seed(seed))


def test_seed_replays(bench: Bench) -> None:
    """A seed gives the same order of transactions, ten times out of ten."""
    for seed in (1, 2):
        runs = [two_workers_and_a_reaper(bench, by_seed(seed)) for _ in range(10)]
        assert len({(run.enabled, run.choices, *run.replies.values()) for run in runs}) == 1
