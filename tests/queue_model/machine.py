"""The state machine: every operation of workers and users, and what befalls them, in any order."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.queue_model.bench import AFTER, BEFORE, Bench
from tests.queue_model.world import ENDINGS, World
from trainstack.search.studies.worker_client import INTERRUPTED

LINES = st.integers(0, Bench.LINES - 1)
# The latest lease most often, and those of long ago as well.
LEASES = st.integers(0, 5)
# Most operations are not disturbed.
FAULTS = st.sampled_from(["", "", "", "", BEFORE, AFTER])
# The transaction that is disturbed, of an operation that may have several.
COMMITS = st.integers(1, 3)
SECONDS = st.sampled_from([1.0, 12.0, 29.0, 59.0, 60.0, 61.0, 700.0, 4000.0, -5.0, -100.0, -4000.0])
WANTED = st.sampled_from(["go", "go", "go", "pause", "stop", "cancel"])
# Steps of one study.
_STEPS = 200


class Counting:
    """Counts the operations of a run, its studies, and comparisons with Optuna's copy."""

    def __init__(self) -> None:
        self.operations = self.studies = self.compared = 0


def holds(queue: Any) -> bool:
    """Return whether there is a lease to use."""
    return bool(queue.world.held)


def exports(queue: Any) -> bool:
    """Return whether the export may run: it takes longer than all else, and so runs less often."""
    return queue.world.done % 6 == 0


def machine(bench: Bench, counting: Counting) -> type[RuleBasedStateMachine]:
    """Return the state machine over a database; each run of it is a new study."""

    class Queue(RuleBasedStateMachine):
        world: World

        @initialize(trials=st.integers(1, 3))
        def begin(self, trials: int) -> None:
            self.world = World(bench, trials)

        @rule(line=LINES, fault=FAULTS, commit=COMMITS)
        def claim(self, line: int, fault: str, commit: int) -> None:
            self.world.claim(line, fault=fault, commit=commit)

        @rule(line=LINES)
        def claim_again(self, line: int) -> None:
            self.world.claim(line)

        @precondition(holds)
        @rule(pick=LEASES, fault=FAULTS)
        def beat(self, pick: int, fault: str) -> None:
            self.world.beat(pick, fault=fault)

        @rule(line=LINES, fault=FAULTS, commit=COMMITS)
        def idle(self, line: int, fault: str, commit: int) -> None:
            self.world.idle(line, fault=fault, commit=commit)

        @precondition(holds)
        @rule(pick=LEASES, count=st.integers(1, 4), fault=FAULTS)
        def report(self, pick: int, count: int, fault: str) -> None:
            self.world.report(pick, count, fault=fault)

        @precondition(holds)
        @rule(pick=LEASES, ending=st.sampled_from(sorted(ENDINGS)), fault=FAULTS)
        def finish(self, pick: int, ending: str, fault: str) -> None:
            self.world.finish(pick, ending, fault=fault)

        @precondition(holds)
        @rule(pick=LEASES, cause=st.sampled_from([INTERRUPTED, "trainer died"]), fault=FAULTS)
        def give_back(self, pick: int, cause: str, fault: str) -> None:
            self.world.give_back(pick, cause, fault=fault)

        @precondition(holds)
        @rule(pick=LEASES, fault=FAULTS)
        def no_room(self, pick: int, fault: str) -> None:
            self.world.no_room(pick, fault=fault)

        @rule(line=LINES, fault=FAULTS)
        def reap(self, line: int, fault: str) -> None:
            self.world.reap(line, fault=fault)

        @rule(line=LINES, fault=FAULTS, commit=COMMITS)
        def maintain(self, line: int, fault: str, commit: int) -> None:
            self.world.maintain(line, fault=fault, commit=commit)

        @rule(line=LINES, fault=FAULTS, commit=COMMITS)
        def advance(self, line: int, fault: str, commit: int) -> None:
            self.world.advance(line, fault=fault, commit=commit)

        @rule(line=LINES, fault=FAULTS)
        def quarantine(self, line: int, fault: str) -> None:
            self.world.quarantine(line, fault=fault)

        @rule(line=LINES, what=st.sampled_from(["leave", "crash", "restart", "remove"]))
        def befall(self, line: int, what: str) -> None:
            getattr(self.world, what)(line)

        @rule(seconds=SECONDS)
        def wait(self, seconds: float) -> None:
            self.world.wait(seconds)

        @rule(wanted=WANTED, fault=FAULTS)
        def request(self, wanted: str, fault: str) -> None:
            self.world.request(wanted, fault=fault)

        @rule(pick=LEASES, fault=FAULTS)
        def void(self, pick: int, fault: str) -> None:
            self.world.void(pick, fault=fault)

        @rule(trials=st.integers(0, 6), fault=FAULTS)
        def set_budget(self, trials: int, fault: str) -> None:
            self.world.set_budget(trials, fault=fault)

        @precondition(exports)
        @rule(line=LINES, fault=FAULTS, commit=st.integers(1, 9))
        def export(self, line: int, fault: str, commit: int) -> None:
            self.world.export(line, fault=fault, commit=commit)

        def teardown(self) -> None:
            if hasattr(self, "world"):
                counting.operations += self.world.done
                self.world.to_the_end()
                counting.studies += 1
                counting.compared += self.world.compared

    return Queue


def explore(bench: Bench, operations: int, seed: int, shrink: bool = False) -> Counting:
    """Run the state machine until enough operations have been carried out.

    Hypothesis begins with the simplest study, whose operations are all the same, and counts studies
    that it ends early; so it gets more than one, and as many as it takes.

    Args:
        bench: The database.
        operations: Least number of operations.
        seed: Seed of the choices.
        shrink: Look for the shortest failing sequence, which takes minutes.

    Returns:
        The numbers of operations, of studies, and of comparisons with Optuna's copy.
    """
    counting = Counting()
    queue = machine(bench, counting)
    while counting.operations < operations:
        run_state_machine_as_test(
            seeded(seed + 1_000_000 * counting.studies)(queue),
            settings=settings(
                max_examples=1 + math.ceil((operations - counting.operations) / _STEPS),
                stateful_step_count=_STEPS,
                deadline=None,
                database=None,
                phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
                suppress_health_check=list(HealthCheck),
            ),
        )
    return counting
