"""Optuna's storage holds a copy of each search trial, whatever crashes, for Optuna's tools."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import URL, Engine, select, update

from tests.support.studies import (
    begun,
    completed,
    dies_drawing,
    epochs,
    exported,
    open_client,
    spec_of,
    work_off,
)
from trainstack.search.cli.watch import work
from trainstack.search.database.connection import engine
from trainstack.search.database.schema import tasks
from trainstack.search.queue import attempts
from trainstack.search.records import Result
from trainstack.search.sampling import optuna_export
from trainstack.search.sampling.optuna_export import Exporting, OptunaExport
from trainstack.search.sampling.optuna_storage import SPEC_KEY
from trainstack.search.spec import StudySpec
from trainstack.search.studies.actions import create_study, void_trial
from trainstack.search.studies.worker_client import WorkerClient
from trainstack.spaces.errors import StudyError
from trainstack.spaces.references import REFERENCES
from trainstack.spaces.space import Space

pytestmark = pytest.mark.postgres
# Long enough for a busy machine; a test that passes does not wait for it.
PATIENCE_SECONDS = 60.0


def states(url: URL) -> list[TrialState]:
    """Export, and return the states of the copies."""
    return [trial.state for trial in exported(url).trials]


def ended(here: WorkerClient, result: Result) -> None:
    lease = here.claim()
    assert lease is not None
    here.finish(lease, result)


def test_study_is_pinned(url: URL) -> None:
    """The Optuna study carries the spec, its direction and its metric's name."""
    spec = spec_of()
    create_study(url, spec, first=())
    study = exported(url)
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
    done, pruned, diverged, infeasible, failed = exported(url).trials
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


def test_references_teach_the_sampler(url: URL) -> None:
    """A reference inside the space becomes a trial with the parameters that give it."""
    create_study(url, spec_of(trials=len(REFERENCES)))
    here = open_client(url)
    work_off(here)
    space = Space.named("chapter")
    for trial in exported(url).trials:
        stack = REFERENCES[trial.user_attrs["label"]]
        assert trial.params == (space.encode(stack) or {})
        assert trial.user_attrs["stack"] == stack.to_json()


def test_foreign_study_is_refused(url: URL) -> None:
    """The name of an Optuna study that other software created is refused."""
    optuna.create_study(study_name="s", storage=url.render_as_string(hide_password=False))
    with pytest.raises(StudyError, match="not created by trainstack"):
        create_study(url, spec_of())


def test_optuna_command_reads_the_study(url: URL) -> None:
    """Optuna's own command line lists the trials."""
    here = begun(url, trials=1)
    ended(here, completed(0.5))
    exported(url)
    address = url.render_as_string(hide_password=False)
    optuna_cli = [sys.executable, "-c", "from optuna.cli import main; main()"]
    command = [*optuna_cli, "trials", "--study-name", "s", "--storage", address, "-f", "json"]
    listed = subprocess.run(command, capture_output=True, check=True, text=True)
    (trial,) = json.loads(listed.stdout)
    assert (trial["state"], trial["value"]) == ("COMPLETE", {"validation loss": 0.5})


def test_given_back_keeps_its_number(url: URL) -> None:
    """A trial given back waits in Optuna, and runs again as the same trial."""
    here = begun(url, trials=1, pruner="asha")
    lease = here.claim()
    assert lease is not None
    here.report(lease, epochs(3))
    here.give_back(lease)
    assert states(url) == [TrialState.WAITING]
    again = here.claim()
    assert again is not None
    assert (again.number, again.stack) == (0, lease.stack)
    assert states(url) == [TrialState.RUNNING]


def test_running_trials_are_followed(url: URL) -> None:
    """A running trial shows its losses at the reported steps, and nothing is written twice."""
    here = begun(url, trials=1, pruner="asha")
    lease = here.claim()
    assert lease is not None
    assert lease.stack is not None
    (trial,) = exported(url).trials
    assert (trial.state, trial.intermediate_values) == (TrialState.RUNNING, {})
    assert Space.named("chapter").draw(optuna.trial.FixedTrial(trial.params)) == lease.stack
    losses = [1.5, math.inf, math.nan, -math.inf, 0.25, 0.125, 0.5, 1.0, 2.0]
    planned = lease.stack.planned_epochs(9)
    measured = [
        dataclasses.replace(e, valid_loss=v) for e, v in zip(epochs(9), losses, strict=True)
    ]
    here.report(lease, measured[:planned])
    (trial,) = exported(url).trials
    shown = trial.intermediate_values
    assert repr(shown[9]) == repr(losses[planned - 1])
    assert len(shown) == planned
    here.finish(lease, Result("completed", 0.125, planned))
    assert states(url) == [TrialState.COMPLETE]


def test_round_that_was_cut_short_is_made_up_for(
    url: URL, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies after writing to Optuna leaves nothing missing and nothing twice."""
    here = begun(url, trials=3)
    for value in (0.3, 0.2, 0.1):
        ended(here, completed(value))

    export = OptunaExport(database, "s")
    create = optuna.storages.RDBStorage.create_new_trial
    with monkeypatch.context() as patch:
        made: list[int] = []

        def second_is_the_last(storage, study_id, template_trial=None):
            if len(made) == 2:
                raise KeyboardInterrupt
            made.append(create(storage, study_id, template_trial))
            return made[-1]

        patch.setattr(optuna.storages.RDBStorage, "create_new_trial", second_is_the_last)
        with pytest.raises(KeyboardInterrupt):
            export.run_if_due()
    assert [(t.number, t.value) for t in exported(url).trials] == [(0, 0.3), (1, 0.2), (2, 0.1)]


def test_rush_is_caught_up_with(url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    """More trials than fit into a round are exported in several, in the order of their numbers."""
    monkeypatch.setattr(optuna_export, "BATCH", 4)
    here = begun(url, trials=11)
    running = open_client(url).claim()
    assert running is not None
    for _ in range(10):
        ended(here, completed(0.5))
    found = exported(url).trials
    assert [trial.number for trial in found] == list(range(11))
    assert found[0].state is TrialState.RUNNING
    assert {trial.state for trial in found[1:]} == {TrialState.COMPLETE}


def test_voided_trial_has_failed(url: URL) -> None:
    """A trial voided after its end has failed in Optuna; the other trials and notes stay."""
    here = begun(url, trials=3)
    ended(here, completed(0.1))
    ended(here, completed(0.2))
    exported(url).set_user_attr("note", "mine")
    void_trial(url, "s", 0, "spoilt")
    study = exported(url)
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert study.best_value == 0.2
    assert study.user_attrs["note"] == "mine"
    assert study.metric_names == ["validation loss"]


def test_deleted_copy_is_made_again(url: URL) -> None:
    """Deleting the copy with Optuna's tools disturbs no worker; the next export makes it again."""
    here = begun(url, trials=3)
    ended(here, completed(0.5))
    lease = here.claim()
    assert lease is not None
    exported(url)
    optuna.delete_study(study_name="s", storage=url.render_as_string(hide_password=False))
    here.finish(lease, completed(0.25))
    assert [t.value for t in exported(url).trials] == [0.5, 0.25]


def test_claims_do_not_wait_for_an_export(url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a round writes to Optuna's storage, workers claim, report and finish trials."""
    here, other = begun(url, trials=3), open_client(url)
    ended(here, completed(0.5))
    create = optuna.storages.RDBStorage.create_new_trial
    trained = []

    def meanwhile(*arguments: Any, **options: Any) -> int:
        work = threading.Thread(target=ended, args=(other, completed(0.25)), daemon=True)
        work.start()
        work.join(PATIENCE_SECONDS)
        trained.append(not work.is_alive())
        return create(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.storages.RDBStorage, "create_new_trial", meanwhile)
        exporting = OptunaExport(engine(url), "s")
        assert exporting.run_if_due() is False
    assert trained == [True]
    assert [trial.value for trial in exported(url).trials] == [0.5, 0.25]


def test_trial_voided_during_a_round_is_exported_again(
    url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial that is voided while a round writes it has failed in Optuna after the next round."""
    here = begun(url, trials=2)
    ended(here, completed(0.5))
    create = optuna.storages.RDBStorage.create_new_trial

    def meanwhile(*arguments: Any, **options: Any) -> int:
        void_trial(url, "s", 0, "spoilt")
        return create(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.storages.RDBStorage, "create_new_trial", meanwhile)
        exporting = OptunaExport(engine(url), "s")
        exporting.run_if_due()
    assert states(url) == [TrialState.FAIL]


def test_foreign_study_is_never_replaced(url: URL, database: Engine) -> None:
    """A study that other software created and trained under our name before an export stays."""
    here = begun(url, trials=2)
    storage = url.render_as_string(hide_password=False)
    foreign = optuna.create_study(study_name="s", storage=storage)
    foreign.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    ended(here, completed(0.5))
    with pytest.raises(StudyError, match="not created by trainstack"):
        OptunaExport(database, "s").run_if_due()
    assert len(optuna.load_study(study_name="s", storage=storage).trials) == 2


def test_trial_claimed_during_a_round_is_left_to_the_next(
    url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial that begins within a round does not make the copies before it look deleted."""
    here, other = begun(url, trials=4), open_client(url)
    running = other.claim()
    assert running is not None
    ended(here, completed(0.5))
    before = exported(url)
    ensure = optuna_export.ensure_study

    def meanwhile(*arguments: Any) -> int:
        ended(here, completed(0.25))
        return ensure(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(optuna_export, "ensure_study", meanwhile)
        OptunaExport(engine(url), "s").run_if_due()
    after = exported(url)
    assert after._study_id == before._study_id
    assert [trial.value for trial in after.trials] == [None, 0.5, 0.25]


def test_one_process_exports_at_a_time(url: URL, database: Engine) -> None:
    """A process that finds another one exporting does not wait for it."""
    here = begun(url, trials=2)
    ended(here, completed(0.5))
    with database.begin() as connection:
        key = select(optuna_export.lock_of(here.study_id))
        assert connection.execute(key).scalar_one() is True
        assert OptunaExport(engine(url), "s").run_if_due() is None
    assert states(url) == [TrialState.COMPLETE]


def test_many_export_at_once(url: URL) -> None:
    """Of several processes that export while trials end, none writes a trial twice."""
    create_study(url, spec_of(trials=24), first=())
    crew = [open_client(url) for _ in range(4)]
    over = threading.Event()

    def export() -> None:
        mine = OptunaExport(engine(url), "s")
        while not over.is_set():
            mine.run_if_due()
        mine.finish()

    def train(here: WorkerClient) -> None:
        for _ in range(6):
            ended(here, completed(0.5))

    with ThreadPoolExecutor(7) as pool:
        exports = [pool.submit(export) for _ in range(3)]
        list(pool.map(train, crew))
        over.set()
        for done in exports:
            done.result()
    found = exported(url).trials
    assert [trial.number for trial in found] == list(range(24))
    assert {trial.state for trial in found} == {TrialState.COMPLETE}


def test_last_trials_are_exported_when_a_process_leaves(url: URL, database: Engine) -> None:
    """What ended just before a process leaves is in Optuna's storage when it has left."""
    here = begun(url, trials=2)
    with Exporting(database, "s"):
        ended(here, completed(0.5))
        ended(here, completed(0.25))
    study = optuna.load_study(study_name="s", storage=url.render_as_string(hide_password=False))
    assert [trial.value for trial in study.trials] == [0.5, 0.25]


def test_attempt_after_a_crash_has_the_same_number(url: URL, database: Engine) -> None:
    """A trial whose worker died before its stack was drawn is drawn later, with its number."""
    here = begun(url, trials=1)
    dies_drawing(here)
    (trial,) = exported(url).trials
    assert (trial.state, trial.params) == (TrialState.WAITING, {})
    lease = here.claim()
    assert lease is not None
    (trial,) = exported(url).trials
    assert (lease.number, trial.state) == (0, TrialState.RUNNING)
    assert Space.named("chapter").draw(optuna.trial.FixedTrial(trial.params)) == lease.stack
    with database.begin() as connection:
        connection.execute(update(tasks).values(exported=False))
    attempts.finish(database, lease.task_id, lease.token, completed(0.5))
    assert states(url) == [TrialState.COMPLETE]


def test_what_was_left_is_exported_when_a_concluded_study_is_launched_again(url: URL) -> None:
    """A launch that finds its study concluded completes the copy, and succeeds if it cannot."""
    here = begun(url, trials=1)
    assert work_off(here) == "concluded"
    work(url, "s", 0)
    storage = url.render_as_string(hide_password=False)
    assert len(optuna.load_study(study_name="s", storage=storage).trials) == 1
    optuna.delete_study(study_name="s", storage=storage)
    foreign = optuna.create_study(study_name="s", storage=storage)
    foreign.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    void_trial(url, "s", 0, "spoilt")
    work(url, "s", 0)
    assert "x" in optuna.load_study(study_name="s", storage=storage).trials[0].params
