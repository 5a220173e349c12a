"""Faults planted in the queue do not survive its tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import URL

from tests.queue_model.bench import Bench
from tests.queue_model.mutants import MUTANTS, Mutant, planted
from tests.queue_model.schedule import every
from tests.queue_model.world import World
from tests.support.databases import fresh

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def shared(server: URL) -> Iterator[Bench]:
    """One database for all faults, as each has a study of its own."""
    with fresh(server) as url:
        here = Bench(url)
        yield here
        here.close()


def carry_out(bench: Bench, killer: Any) -> None:
    """Carry out operations one at a time, or a program in every order."""
    if callable(killer):
        for _ in every(lambda choose: killer(bench, choose)):
            pass
        return
    world = World(bench)
    for name, *arguments in killer:
        getattr(world, name)(*arguments)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_fault_is_found(shared: Bench, mutant: Mutant) -> None:
    """The planted fault breaks a promise, which the queue as it is keeps."""
    if not callable(mutant.killer):
        carry_out(shared, mutant.killer)
    with planted(mutant), pytest.raises(AssertionError):
        carry_out(shared, mutant.killer)


def test_there_are_twenty() -> None:
    """The table names each fault once, and has at least twenty."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20
