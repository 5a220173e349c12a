"""Samplers and pruners see a bounded part of a study's trials, without loss for TPE."""

from __future__ import annotations

import random
from collections.abc import Iterator

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.storages import RDBStorage
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import URL, text

from tests.support.databases import fresh
from tests.support.studies import completed, dies_drawing, open_client, spec_of
from trainstack.search.sampling import trial_window
from trainstack.search.sampling.optuna_mirror import open_storage
from trainstack.search.sampling.trial_window import TrialWindow
from trainstack.search.studies.actions import create_study
from trainstack.spaces.references import REFERENCES
from trainstack.spaces.space import Space

pytestmark = pytest.mark.postgres

COMPLETE, PRUNED, RUNNING = TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING


@pytest.fixture(scope="module")
def backend(server: URL) -> Iterator[RDBStorage]:
    """Optuna's storage in a database of this module."""
    with fresh(server) as url:
        storage = open_storage(url)
        yield storage
        storage.engine.dispose()


@pytest.fixture
def storage(backend: RDBStorage) -> TrialWindow:
    """A window on an empty storage."""
    with backend.engine.begin() as connection:
        connection.execute(text("TRUNCATE studies RESTART IDENTITY CASCADE"))
    return TrialWindow(backend)


class TestStorage(StorageTestCase):
    """A window implements Optuna's storage: it passes Optuna's own suite."""


def trial(dice: random.Random, state: TrialState = COMPLETE, **constraints: float) -> FrozenTrial:
    """Return a trial with a random value."""
    value = dice.random()
    known = state not in (RUNNING, TrialState.WAITING)
    return create_trial(
        state=state,
        value=value if state in (COMPLETE, PRUNED) else None,
        params={"x": value} if known else {},
        distributions={"x": FloatDistribution(0, 1)} if known else {},
        intermediate_values={1: value} if state == PRUNED else {},
        constraints=constraints,
    )


def seen(storage: TrialWindow, study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials shown by a window."""
    return storage.get_all_trials(study._study_id, deepcopy=False)


def test_what_is_read(storage: TrialWindow, backend: RDBStorage) -> None:
    """A joining process reads the latest, the best earlier feasible and the open trials."""
    dice = random.Random(1)
    study = optuna.create_study(storage=backend)
    open_ones = (RUNNING, TrialState.WAITING)
    states = [dice.choice((COMPLETE, COMPLETE, PRUNED, TrialState.FAIL)) for _ in range(40)]
    states[3], states[8] = open_ones
    for state in states:
        study.add_trial(trial(dice, state, trains=dice.choice((-1.0, 0.0, 1.0))))
    found = seen(TrialWindow(backend, latest=12, best=4), study)
    every = study.get_trials(deepcopy=False)
    earlier = [t for t in every[:-12] if t.state == COMPLETE and t.constraints["trains"] <= 0]
    best = sorted(earlier, key=lambda t: t.value or 0.0)[:4]
    expected = {3, 8, *(t.number for t in best), *range(28, 40)}
    assert [t.number for t in found] == sorted(expected)
    assert found == [every[t.number] for t in found]


def test_followed_is_joined(storage: TrialWindow, backend: RDBStorage) -> None:
    """A process that followed a study sees the same trials as one that joins now."""
    dice = random.Random(2)
    study = optuna.create_study(storage=backend)
    watching = TrialWindow(backend, latest=6, best=3)
    running: list[int] = []
    for _ in range(40):
        if running and dice.random() < 0.4:
            ended = running.pop(dice.randrange(len(running)))
            state = dice.choice((COMPLETE, PRUNED))
            backend.set_trial_state_values(ended, state, [dice.random()])
        elif dice.random() < 0.4:
            running.append(backend.create_new_trial(study._study_id))
        else:
            study.add_trial(trial(dice, trains=dice.choice((0.0, 1.0))))
        if dice.random() < 0.5:
            joined = TrialWindow(backend, latest=6, best=3)
            assert seen(watching, study) == seen(joined, study)
    # A trial outside the window can still be read.
    hidden = set(range(40)) - {t.number for t in seen(watching, study)}
    every = study.get_trials(deepcopy=False)
    for number in sorted(hidden & set(range(len(every)))):
        assert watching.get_trial(every[number]._trial_id) == every[number]
        looked_up = watching.get_trial_id_from_study_id_trial_number(study._study_id, number)
        assert looked_up == every[number]._trial_id


def test_good_trials_are_the_same(storage: TrialWindow, backend: RDBStorage) -> None:
    """TPE's good trials are the same as with all trials."""
    assert max(default_gamma(n) for n in range(2000)) == trial_window.BEST
    dice = random.Random(3)
    study = optuna.create_study(storage=backend)
    for _ in range(50):
        study.add_trial(trial(dice, dice.choice((COMPLETE, PRUNED)), trains=dice.choice((0, 1))))
    every = study.get_trials(deepcopy=False)
    found = seen(TrialWindow(backend, latest=15, best=5), study)
    assert len(found) == 20
    good, _ = _split_trials(study, every, 5)
    assert _split_trials(study, found, 5)[0] == good


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_draw_goes_on_elsewhere(url: URL, sampler: str) -> None:
    """A draw interrupted by a worker's death is finished by one that has read no trials."""
    space = Space.named("chapter")
    name, reference = next(r for r in REFERENCES.items() if space.encode(r[1]) is not None)
    create_study(url, spec_of(trials=1, sampler=sampler), first=((name, reference),))
    dying, other = open_client(url), open_client(url)
    dies_drawing(dying)
    lease = other.claim()
    assert lease is not None
    assert (lease.number, lease.stack) == (0, reference)
    other.finish(lease, completed())
