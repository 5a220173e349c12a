"""Proposals and pruning decisions from the fleet's tables, of which a bounded part is read."""

from __future__ import annotations

import dataclasses
import random
import threading

import optuna
import pytest
from optuna.samplers._tpe.sampler import default_gamma
from sqlalchemy import URL, Engine, func, select, update

from tests.support.studies import begun, completed, dies_drawing, epochs, open_client, spec_of
from trainstack.search.database.schema import studies, tasks
from trainstack.search.evidence.constraints import read
from trainstack.search.queue import study_store
from trainstack.search.queue.queries import trials
from trainstack.search.queue.search_trials import (
    SearchTrial,
    keeps,
    trials_since,
    trials_to_remember,
)
from trainstack.search.records import Result
from trainstack.search.sampling import proposals
from trainstack.search.sampling.proposals import Proposals
from trainstack.search.studies.actions import create_study, void_trial
from trainstack.search.studies.worker_client import WorkerClient
from trainstack.spaces.errors import StorageAwayError
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES
from trainstack.spaces.space import Space

pytestmark = pytest.mark.postgres


def ended(here: WorkerClient, value: float, outcome: str = "completed", **metrics: float) -> None:
    """Let a worker train a trial to an outcome."""
    lease = here.claim()
    assert lease is not None
    here.finish(lease, Result(outcome, value, 1, tuple(epochs(1)), metrics))


def every(database: Engine, here: WorkerClient) -> list[SearchTrial]:
    """Return all trials of a study."""
    with database.connect() as connection:
        return trials_since(connection, here.study_id, -1)


def values(here: Proposals) -> list[float]:
    """Return the values of the completed trials that a sampler sees, in order."""
    complete = (optuna.trial.TrialState.COMPLETE,)
    return [trial.values[0] for trial in here._history.get_trials(states=complete)]


def test_workers_that_join_at_once_draw_different_stacks(url: URL) -> None:
    """Eight workers that join a study at the same time have samplers of different seeds."""
    create_study(url, spec_of(trials=8), first=())
    gate, drawn = threading.Barrier(8), list[str]()

    def work() -> None:
        gate.wait()
        lease = open_client(url).claim()
        assert lease is not None
        assert lease.stack is not None
        drawn.append(lease.stack.stack_id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(drawn)) == 8


def test_a_bounded_part_is_remembered(url: URL, database: Engine) -> None:
    """The latest trials, the best earlier ones that keep the constraints, and unfinished ones."""
    dice = random.Random(1)
    here = begun(url, trials=60)
    waiting = here.claim()
    assert waiting is not None
    for _ in range(40):
        outcome = dice.choice(("completed", "completed", "pruned", "diverged"))
        ended(here, dice.random(), outcome, parameters=dice.choice((10.0, 30.0)))
    here.give_back(waiting)
    bounds = (read("parameters<=20"),)
    with database.connect() as connection:
        found = trials_to_remember(connection, here.study_id, 12, 4, bounds)
    trials = every(database, here)
    earlier = [t for t in trials[:-12] if t.outcome == "completed" and t.metrics["parameters"] < 20]
    best = sorted(earlier, key=lambda trial: trial.value or 0.0)[:4]
    assert [t.number for t in found] == sorted({0, *(t.number for t in best), *range(29, 41)})
    assert found == [trials[trial.number] for trial in found]
    assert all(keeps(bounds, trial.metrics) for trial in best)


def test_a_study_is_followed(url: URL, database: Engine) -> None:
    """A worker that follows a study knows what another one reads that joins it now."""
    here, other = begun(url, trials=30, sampler="tpe"), open_client(url)
    following = Proposals(database, here.study_id, here.spec, 1)
    running = []
    for k in range(8):
        ended(here, 1.0 - k / 10, "pruned" if k % 3 == 2 else "completed")
        if (lease := other.claim()) is not None:
            running.append(lease)
        if k % 2:
            other.finish(running.pop(0), completed(2.0 + k))
        following.refresh()
        joining = Proposals(database, here.study_id, here.spec, 1)
        joining.refresh()
        assert sorted(values(following)) == sorted(values(joining))


def test_memory_stays_bounded(url: URL, database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that follows a long study drops earlier trials, but not the best ones."""
    monkeypatch.setattr(proposals, "GROWTH", 6)
    here = begun(url, trials=40, sampler="tpe")
    following = Proposals(database, here.study_id, here.spec, 1, latest=4, best=2)
    for value in (0.1, 0.9, 0.2, *(0.5 + k / 100 for k in range(30))):
        ended(here, value)
        following.refresh()
        assert len(values(following)) <= 13
    assert {0.1, 0.2} < set(values(following))


def test_good_trials_of_tpe_are_remembered() -> None:
    """TPE never uses more good trials than are remembered of the whole study."""
    assert max(default_gamma(trials) for trials in range(2000)) == proposals.BEST


def test_voided_trials_are_forgotten(url: URL, database: Engine) -> None:
    """A voided trial leaves the history, also of a worker that had read it."""
    here = begun(url, trials=4, sampler="tpe")
    following = Proposals(database, here.study_id, here.spec, 1)
    ended(here, 0.1)
    ended(here, 0.2)
    following.refresh()
    assert values(following) == [0.1, 0.2]
    void_trial(url, "s", 0, "spoilt")
    following.refresh()
    assert values(following) == [0.2]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_draw_goes_on_elsewhere(url: URL, sampler: str) -> None:
    """A draw that a worker's death cut short is finished by a worker that knows no trials."""
    space = Space.named("chapter")
    name, reference = next(r for r in REFERENCES.items() if space.encode(r[1]) is not None)
    create_study(url, spec_of(trials=1, sampler=sampler), first=((name, reference),))
    dying, other = open_client(url), open_client(url)
    dies_drawing(dying)
    lease = other.claim()
    assert lease is not None
    assert (lease.number, lease.stack) == (0, reference)
    other.finish(lease, completed())


def test_pruning(url: URL) -> None:
    """Of the trials at a rung the worse half is pruned, wherever in their plans it lies."""
    space = Space.named("chapter").to_json()
    space["axes"]["schedule"] = {"constant": {}}
    here = begun(url, trials=6, pruner="asha", space=space)
    verdicts = []
    for value in (1.0, 2.0, 3.0, 4.0, 5.0, 0.5):
        lease = here.claim()
        assert lease is not None
        assert lease.stack is not None
        planned = lease.stack.planned_epochs(spec_of().epochs)
        rung = lease.rungs[0]
        assert rung == max(1, planned // 3)
        here.report(lease, [dataclasses.replace(e, valid_loss=value) for e in epochs(rung)])
        assert here.verdict(lease, planned) is False  # not a rung
        verdicts.append(here.verdict(lease, rung))
        here.finish(lease, Result("pruned" if verdicts[-1] else "completed", value))
    assert verdicts == [False, False, False, False, True, False]


@pytest.mark.parametrize(
    ("label", "requested", "spared"),
    [
        ("chapter-default", False, True),
        ("trainstack-default", False, True),
        ("portfolio-2", False, False),
        (None, True, True),
    ],
)
def test_what_comparisons_need_is_not_pruned(
    url: URL, label: str | None, requested: bool, spared: bool
) -> None:
    """The two defaults and requested stacks are never pruned; other first stacks are."""
    widths = (10, 20, 30, 40, 50, 60)
    stacks = [CHAPTER_DEFAULT.but(units=[width], schedule="constant") for width in widths]
    last = [(None, stack) for stack in stacks[:5]] + [(label, stacks[5])]
    spec = spec_of(trials=6, pruner="asha", stacks=tuple(stacks) if requested else ())
    create_study(url, spec, first=last)
    here = open_client(url)
    for value in (1.0, 2.0, 3.0, 4.0, 5.0, 9.0):
        lease = here.claim()
        assert lease is not None
        rung = lease.rungs[0]
        here.report(lease, [dataclasses.replace(e, valid_loss=value) for e in epochs(rung)])
        if value == 9.0:
            assert here.verdict(lease, rung) is not spared
        here.finish(lease, Result("completed", value, 9, tuple(epochs(9))))


def test_other_workers_are_compared(url: URL) -> None:
    """A trial is compared with trials of other workers that have reached the rung and still run."""
    space = Space.named("chapter").to_json()
    space["axes"]["schedule"] = {"constant": {}}
    create_study(url, spec_of(trials=5, pruner="asha", space=space), first=())
    verdicts = []
    for value in (1.0, 2.0, 3.0, 4.0, 5.0):
        here = open_client(url)
        lease = here.claim()
        assert lease is not None
        rung = lease.rungs[0]
        here.report(lease, [dataclasses.replace(e, valid_loss=value) for e in epochs(rung)])
        verdicts.append(here.verdict(lease, rung))
    assert verdicts == [False, False, False, False, True]


def test_voided_trials_are_not_compared(url: URL) -> None:
    """Spoilt trials whose losses are too low do not prune the sound ones that follow."""
    space = Space.named("chapter").to_json()
    space["axes"]["schedule"] = {"constant": {}}
    here = begun(url, trials=6, pruner="asha", space=space)
    verdicts = []
    for number in range(5):
        lease = here.claim()
        assert lease is not None
        rung, value = lease.rungs[0], 0.1 if number < 4 else 5.0
        here.report(lease, [dataclasses.replace(e, valid_loss=value) for e in epochs(rung)])
        verdicts.append(here.verdict(lease, rung))
        here.finish(lease, Result("completed", value))
        void_trial(url, "s", number, "trained on wrong labels")
    assert verdicts == [False] * 5


def test_copied_results_are_not_compared(
    url: URL, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result copied from an equal stack does not stand beside it at a rung."""
    space = Space.named("chapter").to_json()
    space["axes"]["schedule"] = {"constant": {}}
    here = begun(url, trials=8, pruner="asha", space=space)
    first = here.claim()
    assert first is not None
    here.finish(first, Result("completed", 0.1, 9, tuple(epochs(9))))
    with monkeypatch.context() as patch:
        patch.setattr(Proposals, "propose", lambda proposals: (first.stack, {}))
        patch.setattr(study_store, "MOST_FAILURES", 10)
        with database.begin() as connection:
            connection.execute(update(studies).values(trials=6))
        assert here.claim() is None
    with database.begin() as connection:
        connection.execute(update(studies).values(trials=8))
    mine = here.claim()
    assert mine is not None
    rung = mine.rungs[0]
    here.report(mine, [dataclasses.replace(e, valid_loss=9.0) for e in epochs(rung)])
    assert here.verdict(mine, rung) is False, "one trained competitor decides nothing"


def test_failed_read_is_repeated_whole(
    url: URL, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a read that failed, the next one is bounded again."""
    here = begun(url, trials=9, sampler="tpe")
    for value in (0.5, 0.4, 0.3, 0.2):
        ended(here, value)
    following = Proposals(database, here.study_id, here.spec, 1, latest=1, best=1)

    def away(*_: object) -> None:
        raise StorageAwayError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(proposals, "trials_to_remember", away)
        with pytest.raises(StorageAwayError):
            following.refresh()
    following.refresh()
    assert values(following) == [0.3, 0.2]


def test_numbers_have_no_gaps(url: URL, database: Engine) -> None:
    """Trials that several workers begin are numbered from 0, each once, given ones included."""
    given = list(REFERENCES.items())[:3]
    create_study(url, spec_of(trials=8), first=given)
    crew = [open_client(url) for _ in range(4)]
    leases = [here.claim() for _ in range(2) for here in crew]
    assert sorted(lease.number for lease in leases if lease) == list(range(8))
    with database.connect() as connection:
        assert connection.execute(select(func.max(tasks.c.number))).scalar() == 7


def test_workers_draw_differently(url: URL) -> None:
    """Two workers' samplers do not propose the same stacks."""
    create_study(url, spec_of(trials=4), first=())
    drawn = [
        lease.stack.stack_id
        for here in (open_client(url), open_client(url))
        if (lease := here.claim()) is not None and lease.stack is not None
    ]
    assert len(set(drawn)) == 2


def test_draw_that_breaks_is_a_failed_trial(
    url: URL, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in drawing keeps its traceback with the trial, and the worker goes on."""
    here = begun(url, trials=1)
    with monkeypatch.context() as patch:
        patch.setattr(Proposals, "propose", lambda self: {}[1])
        for _ in range(study_store.MOST_FAILURES):
            assert here.claim() is None
    found = trials(database, "s")
    assert {trial.outcome for trial in found} == {"failed"}
    assert all("KeyError" in (trial.cause or "") for trial in found)
