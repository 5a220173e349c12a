"""Optuna's trials follow our tasks after any crash, and Optuna's tools can read them."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState
from sqlalchemy import URL, Engine, update

from tests.support.studies import (
    begun,
    completed,
    dies_drawing,
    epochs,
    open_client,
    spec_of,
    work_off,
)
from trainstack.search.database.schema import tasks
from trainstack.search.queue import attempts, study_store
from trainstack.search.queue.queries import runs
from trainstack.search.records import Result
from trainstack.search.sampling.optuna_mirror import SPEC_KEY
from trainstack.search.spec import StudySpec
from trainstack.search.studies.actions import create_study, void_trial
from trainstack.search.studies.worker_client import LeaseLost, WorkerClient
from trainstack.spaces.errors import StudyError
from trainstack.spaces.references import REFERENCES
from trainstack.spaces.space import Space

pytestmark = pytest.mark.postgres


def loaded(url: URL, study: str = "s") -> optuna.Study:
    """Load the study through Optuna's own function."""
    return optuna.load_study(study_name=study, storage=url.render_as_string(hide_password=False))


def states(url: URL) -> list[TrialState]:
    return [t.state for t in loaded(url).trials]


def ended(here: WorkerClient, result: Result) -> None:
    lease = here.claim()
    assert lease is not None
    here.finish(lease, result)


def test_study_is_pinned(url: URL) -> None:
    """The Optuna study has the spec, its direction and its metric's name."""
    spec = spec_of()
    create_study(url, spec)
    study = loaded(url)
    assert StudySpec.from_json(study.user_attrs[SPEC_KEY]) == spec
    assert study.direction is optuna.study.StudyDirection.MINIMIZE
    assert study.metric_names == ["validation loss"]


def test_outcomes_become_states(url: URL) -> None:
    """Completed, pruned, diverged, infeasible and failed trials show as Optuna's states."""
    here = begun(url, trials=5)
    for result in (
        completed(0.5),
        Result("pruned", 0.75),
        Result("diverged", cause="loss not finite"),
        Result("infeasible", cause="out of memory"),
        Result("failed", cause="Traceback"),
    ):
        ended(here, result)
    done, pruned, diverged, infeasible, failed = loaded(url).trials
    assert (done.state, done.value) == (TrialState.COMPLETE, 0.5)
    assert (pruned.state, pruned.value) == (TrialState.PRUNED, 0.75)
    assert diverged.state is infeasible.state is TrialState.PRUNED
    trivial = math.log(len(spec_of().data.classes))
    assert diverged.value == infeasible.value == pytest.approx(10 * trivial)
    assert failed.state is TrialState.FAIL
    assert infeasible.user_attrs["cause"] == "out of memory"
    assert (
        Space.named("chapter").draw(optuna.trial.FixedTrial(done.params)).stack_id
        == (done.user_attrs["stack_id"])
    )


def test_tpe_ranks_diverged_last(url: URL) -> None:
    """TPE prefers a trial pruned at the first rung to one that diverged after many epochs."""
    here = begun(url, trials=3, pruner="asha")
    far = here.claim()
    assert far is not None
    here.report(far, epochs(8))
    here.finish(far, Result("diverged", cause="loss not finite"))
    near = here.claim()
    assert near is not None
    here.report(near, epochs(1))
    here.finish(near, Result("pruned", 9.0))
    study = loaded(url)
    below, above = _split_trials(study, study.trials, 1)
    assert ([t.number for t in below], [t.number for t in above]) == ([1], [0])


def test_references_teach_the_sampler(url: URL) -> None:
    """A reference inside the space becomes a trial with the parameters that encode it."""
    create_study(url, spec_of(trials=len(REFERENCES)))
    here = open_client(url)
    work_off(here)
    space = Space.named("chapter")
    for trial in loaded(url).trials:
        stack = REFERENCES[trial.user_attrs["label"]]
        assert trial.params == (space.encode(stack) or {})
        assert trial.user_attrs["stack"] == stack.to_json()


def test_given_back_keeps_its_number(url: URL) -> None:
    """A returned trial waits in Optuna, and runs again as the same trial without values."""
    here = begun(url, trials=1, pruner="asha")
    lease = here.claim()
    assert lease is not None
    here.report(lease, epochs(3))
    here.verdict(lease, 1)
    here.give_back(lease)
    assert states(url) == [TrialState.WAITING]
    again = here.claim()
    assert again is not None
    (trial,) = loaded(url).trials
    assert (again.number, again.stack) == (0, lease.stack)
    assert (trial.state, trial.intermediate_values) == (TrialState.RUNNING, {})
    assert [k for k in trial.system_attrs if k.startswith("completed_rung")] == []


def test_pruning(url: URL) -> None:
    """The worse half of the trials at a rung is pruned, wherever in their plans it lies."""
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
    steps = {max(trial.intermediate_values) for trial in loaded(url).trials}
    assert steps == {3}, "a rung has the same step under every plan"


def test_crash_before_the_link(url: URL, database: Engine) -> None:
    """If a worker dies while making a trial, none remains; the next attempt makes it."""
    here = begun(url, trials=1)
    row = attempts.claim(database, here.study_id, here.worker_id, 60.0)
    assert row is not None
    with database.connect() as connection:
        assert here._mirror.begin(connection, row)[1] == 0  # never committed
    assert states(url) == []
    attempts.give_back(
        database, row.task_id, row.token, "lease expired: the worker stopped responding"
    )
    lease = here.claim()
    assert lease is not None
    assert lease.number == 0
    here.finish(lease, completed())
    assert states(url) == [TrialState.COMPLETE]


def test_crash_within_the_draw(url: URL) -> None:
    """An interrupted draw is repeated, and the trial keeps its number."""
    here = begun(url, trials=1)
    dies_drawing(here)
    (trial,) = loaded(url).trials
    assert trial.params == {}
    lease = here.claim()
    assert lease is not None
    (trial,) = loaded(url).trials
    assert (lease.number, trial.number, trial.state) == (0, 0, TrialState.RUNNING)
    assert Space.named("chapter").draw(optuna.trial.FixedTrial(trial.params)) == lease.stack


def test_what_is_written_is_what_optuna_writes(url: URL) -> None:
    """A trial written by us equals one written by Optuna's functions in all that Optuna reads."""
    here = begun(url, trials=1, pruner="asha")
    lease = here.claim()
    assert lease is not None
    losses = [1.5, math.inf, math.nan, -math.inf, 0.25, 0.125, 0.5, 1.0, 2.0]
    measured = [
        dataclasses.replace(e, valid_loss=v) for e, v in zip(epochs(9), losses, strict=True)
    ]
    here.report(lease, measured)
    here.finish(lease, Result("completed", 0.125, 6, tuple(measured)))
    (ours,) = loaded(url).trials
    study = optuna.create_study(storage=url.render_as_string(hide_password=False))
    trial = study.ask()
    for key, value in ours.user_attrs.items():
        trial.set_user_attr(key, value)
    for key, value in ours.system_attrs.items():
        study._storage.set_trial_system_attr(trial._trial_id, key, value)
    for name, how in ours.distributions.items():
        number = how.to_internal_repr(ours.params[name])
        study._storage.set_trial_param(trial._trial_id, name, number, how)
    for epoch, loss in enumerate(losses, start=1):
        trial.report(loss, epoch)
    study.tell(trial, 0.125)
    (theirs,) = study.trials
    for field in ("number", "state", "values", "params", "distributions", "user_attrs"):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert list(ours.params) == list(theirs.params)
    assert repr(ours.intermediate_values) == repr(theirs.intermediate_values)
    assert ours.datetime_start is not None
    assert ours.datetime_complete is not None
    apart = abs((ours.datetime_start - theirs.datetime_start).total_seconds())  # type: ignore[operator]
    assert apart < 600
    assert ours.datetime_start <= ours.datetime_complete


def test_crash_after_our_write(url: URL, database: Engine) -> None:
    """If Optuna's side of an ended trial is missing, the next process writes it."""
    here = begun(url, trials=1)
    lease = here.claim()
    assert lease is not None
    attempts.finish(database, lease.task_id, lease.token, completed(0.5))
    assert states(url) == [TrialState.RUNNING]
    open_client(url).leave()
    (trial,) = loaded(url).trials
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.5)


def test_late_worker_leaves_no_orphan(url: URL, database: Engine) -> None:
    """A worker that lost its lease before making the trial makes none."""
    here = begun(url, trials=1)
    row = attempts.claim(database, here.study_id, here.worker_id, 60.0)
    assert row is not None
    attempts.give_back(
        database, row.task_id, row.token, "lease expired: the worker stopped responding"
    )
    lease = here.claim()
    assert lease is not None
    with pytest.raises(LeaseLost):
        here._begin(row)
    here.finish(lease, completed())
    assert states(url) == [TrialState.COMPLETE]


def test_many_make_trials_at_once(url: URL) -> None:
    """Trials made by many workers at once are numbered from 0, each number once."""
    create_study(url, spec_of(trials=24), first=())
    crew = [open_client(url) for _ in range(6)]
    with ThreadPoolExecutor(len(crew)) as pool:
        for _ in range(4):
            leases_of = list(pool.map(lambda here: here.claim(), crew))
            assert all(lease is not None for lease in leases_of)
    found = loaded(url).trials
    assert sorted(t.number for t in found) == list(range(24))
    assert [t.number for t in sorted(found, key=lambda t: t._trial_id)] == list(range(24))


def test_void_is_forgotten_by_samplers(url: URL) -> None:
    """A voided trial fails in Optuna, even for a worker that has it in its cache."""
    here = begun(url, trials=3)
    ended(here, completed(0.1))
    assert here._mirror.study.best_value == 0.1
    void_trial(url, "s", 0, "spoilt")
    ended(here, completed(0.2))
    assert here._mirror.study.best_value == 0.2
    assert states(url) == [TrialState.FAIL, TrialState.COMPLETE]


def test_deleted_by_optunas_tools(url: URL, database: Engine) -> None:
    """If Optuna's study is deleted, running trials can end; new ones are refused."""
    here = begun(url, trials=3)
    lease = here.claim()
    assert lease is not None
    optuna.delete_study(study_name="s", storage=url.render_as_string(hide_password=False))
    here.report(lease, epochs(2))
    here.finish(lease, completed(0.5))
    assert [(run.outcome, run.value) for run in runs(database, "s")] == [("completed", 0.5)]
    with pytest.raises(StudyError, match="gone"):
        here.claim()


def test_foreign_study_is_refused(url: URL) -> None:
    """The name of an existing Optuna study of another origin is refused."""
    optuna.create_study(study_name="s", storage=url.render_as_string(hide_password=False))
    with pytest.raises(StudyError, match="not created by trainstack"):
        create_study(url, spec_of())


def test_optuna_command_reads_the_study(url: URL) -> None:
    """Optuna's own command line lists the trials."""
    here = begun(url, trials=1)
    ended(here, completed(0.5))
    address = url.render_as_string(hide_password=False)
    optuna_cli = [sys.executable, "-c", "from optuna.cli import main; main()"]
    command = [*optuna_cli, "trials", "--study-name", "s", "--storage", address, "-f", "json"]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    (trial,) = json.loads(done.stdout)
    assert (trial["state"], trial["value"]) == ("COMPLETE", {"validation loss": 0.5})


def test_workers_draw_differently(url: URL) -> None:
    """Two workers' samplers do not propose the same stacks."""
    create_study(url, spec_of(trials=4), first=())
    one, two = open_client(url), open_client(url)
    drawn = [lease.stack_id for d in (one, two) if (a := d.claim()) and (lease := a.stack)]
    assert len(set(drawn)) == 2


def test_draw_that_breaks_is_a_failed_trial(url: URL, database: Engine) -> None:
    """An error in drawing is stored with its traceback, and the worker continues."""
    here = begun(url, trials=1)
    draw = here._mirror.draw
    here._mirror.draw = lambda row: {}[1]  # type: ignore[method-assign]
    for _ in range(study_store.MOST_FAILURES):
        here.claim()
    here._mirror.draw = draw  # type: ignore[method-assign]
    with database.begin() as connection:
        causes = connection.execute(tasks.select()).all()
        connection.execute(update(tasks).values(cause=None))
    assert {row.outcome for row in causes} == {"failed"}
    assert all("KeyError" in row.cause for row in causes)
    assert set(states(url)) == {TrialState.FAIL}
