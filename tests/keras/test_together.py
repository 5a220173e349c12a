"""Training several networks at once: each one's result is that of training it alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.engine_stacks import BASE, NETWORKS, program_of, splits
from trainstack.search.artifacts import FolderStore
from trainstack.search.records import Measurement, Outcome, Result
from trainstack.workers.engine.bundle import Bundle
from trainstack.workers.engine.checkpoint import Shelf
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.together import train_together
from trainstack.workers.engine.training import Judge, Training
from trainstack.workers.messages import INTERRUPTED

pytestmark = pytest.mark.keras

EPOCHS = 12
# Networks that end at different epochs: by patience, and by their judges.
STACKS = [
    BASE.but(stopping__share=0.1, optimizer__learning_rate=0.01 * 3**k) for k in range(NETWORKS)
]


def trainings(program: Program, shelves: list[Shelf] | None = None) -> list[Training]:
    """Return a training of each stack, with the seeds 0, 1, …"""
    return [
        Training(
            program, stack, k, EPOCHS, untrained_loss=1.4, shelf=shelves[k] if shelves else None
        )
        for k, stack in enumerate(STACKS)
    ]


def loaded(program: Program, first_seconds: float = 0.0) -> Bundle:
    """Return a bundle with the initial state of every network."""
    bundle = Bundle(program, STACKS[0], NETWORKS)
    for k, stack in enumerate(STACKS):
        program.reset(stack, k)
        bundle.load(k)
    bundle.first_seconds = first_seconds
    return bundle


def judged(k: int) -> Judge:
    """Prune the last network at its fifth epoch."""
    last = k == NETWORKS - 1
    return lambda measured: Outcome.PRUNED if last and measured.epoch == 5 else None


def go_on(measured: Measurement) -> None:
    """A judge that ends nothing."""


def curve(result: Result) -> list[float]:
    return [m.valid_loss for m in result.measurements]


def assert_same(ours: list[Result], theirs: list[Result]) -> None:
    """Compare outcomes and curves."""
    for one, other in zip(ours, theirs, strict=True):
        assert (one.outcome, one.best_epoch) == (other.outcome, other.best_epoch)
        np.testing.assert_allclose(curve(one), curve(other), rtol=1e-4)


def alone(program: Program) -> tuple[list[Result], list[Training]]:
    """Train one network after the other."""
    own = trainings(program)
    results = []
    for k, (training, split) in enumerate(zip(own, splits(), strict=True)):
        program.reset(training.stack, training.seed)
        results.append(training.run(split, judged(k)))
    return results, own


@pytest.mark.parametrize("pays", [True, False])
def test_networks_that_end_at_different_epochs_end_as_they_do_alone(pays: bool) -> None:
    """Whether or not the rest continues in a smaller bundle, curves and best weights agree."""
    program, sizes = program_of(STACKS[0]), []

    def make(networks: int) -> Bundle:
        sizes.append(networks)
        return Bundle(program, STACKS[0], networks)

    results, own = alone(program)
    assert len({len(result.measurements) for result in results}) > 1
    together = trainings(program)
    judges = [judged(k) for k in range(NETWORKS)]
    # As if tracing had taken next to no time, or for ever.
    bundle = loaded(program, first_seconds=1e-9 if pays else 1e9)
    assert_same(train_together(bundle, together, splits(), judges, make), results)
    for one, other in zip(together, own, strict=True):
        for a, b in zip(one.best_weights, other.best_weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert bool(sizes) == pays


def test_one_verdict_ends_all_networks() -> None:
    """An outcome after an epoch ends every network that goes on, after that epoch."""
    program, epochs = program_of(STACKS[0]), []

    def after_epoch() -> str | None:
        epochs.append(len(epochs) + 1)
        return Outcome.PRUNED if len(epochs) == 2 else None

    results = train_together(
        *(loaded(program), trainings(program), splits(), [go_on] * NETWORKS),
        make=lambda networks: Bundle(program, STACKS[0], networks),
        after_epoch=after_epoch,
    )
    assert [result.outcome for result in results] == [Outcome.PRUNED] * NETWORKS
    assert [len(result.measurements) for result in results] == [2] * NETWORKS


def test_a_bundle_resumes_from_its_networks_checkpoints(tmp_path: Path) -> None:
    """Interrupted after an epoch and resumed, every network ends as it does uninterrupted."""
    program = program_of(STACKS[0])
    expected, _ = alone(program)
    shelves = [Shelf(FolderStore(tmp_path), f"{k}.npz", {}) for k in range(NETWORKS)]

    def run(judges: list[Judge]) -> list[Result]:
        return train_together(
            *(loaded(program), trainings(program, shelves), splits(), judges),
            make=lambda networks: Bundle(program, STACKS[0], networks),
        )

    def interrupt(measured: Measurement) -> str | None:
        return INTERRUPTED if measured.epoch == 2 else None

    assert {result.outcome for result in run([interrupt] * NETWORKS)} == {INTERRUPTED}
    assert_same(run([judged(k) for k in range(NETWORKS)]), expected)
