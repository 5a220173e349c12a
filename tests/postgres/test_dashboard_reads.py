"""The dashboard reads trials from the fleet's tables and generates files on request."""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace

import optuna
import pytest
from optuna.artifacts import get_all_artifact_meta
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy import URL, select, update

from tests.support.studies import begun, completed, epochs, exported, open_client
from trainstack.search.artifacts import FolderStore
from trainstack.search.dashboard.storage import DashboardStorage
from trainstack.search.database.connection import engine
from trainstack.search.database.schema import studies, tasks
from trainstack.search.records import Result
from trainstack.search.sampling.optuna_storage import open_storage
from trainstack.search.sampling.trial_files import Attached, of_model
from trainstack.search.studies.actions import void_trial

pytestmark = pytest.mark.postgres
FIELDS = (
    *("number", "state", "values", "params", "distributions", "intermediate_values"),
    *("user_attrs", "system_attrs", "datetime_start", "datetime_complete"),
)
LAYER = {"mean": 0.5, "deviation": 1.0, "saturated": 0.0, "dead": 0.25, "gradient_norm": 2.0}


def studied(url: URL) -> list[int]:
    """Give a study a completed, a pruned, a diverged and a running trial; return task ids."""
    here, found = begun(url, trials=5), []
    seen = Result(
        "completed", 0.5, 2, tuple(epochs(3)), payload={"layers": {"start": [LAYER, LAYER]}}
    )
    for result in (seen, Result("pruned", math.inf, 1), Result("diverged", cause="nan"), None):
        lease = here.claim()
        assert lease is not None
        here.report(lease, epochs(2))
        if result is not None:
            here.finish(lease, result)
        found.append(lease.task_id)
    return found


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A time zone far from Greenwich."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "Pacific/Auckland")
        time.tzset()
        yield
    time.tzset()


def opened(url: URL) -> DashboardStorage:
    """Export a study and open the dashboard's storage."""
    exported(url)
    storage = open_storage(engine(url))
    return DashboardStorage(storage, storage.engine)


def test_trials_are_those_in_optuna(url: URL, away: None) -> None:
    """Every trial is the one that Optuna's own storage gives, but for ids, in any time zone."""
    studied(url)
    shown, theirs = opened(url).get_all_trials(1), exported(url).trials
    assert len(theirs) == 4
    for ours, copy in zip(shown, theirs, strict=True):
        for field in FIELDS:
            assert getattr(ours, field) == getattr(copy, field), field
        assert opened(url).get_trial(ours._trial_id) == ours


def test_what_changes_is_seen(url: URL) -> None:
    """Ended, voided and new trials appear at the next read."""
    here = begun(url, trials=5)
    shown = opened(url)
    assert shown.get_all_trials(1) == []
    lease = here.claim()
    assert lease is not None
    assert [t.state.name for t in shown.get_all_trials(1)] == ["RUNNING"]
    here.finish(lease, completed())
    assert [t.state.name for t in shown.get_all_trials(1)] == ["COMPLETE"]
    void_trial(url, "s", 0, "spoilt")
    assert [t.state.name for t in shown.get_all_trials(1)] == ["FAIL"]
    assert here.claim() is not None
    assert [t.state.name for t in shown.get_all_trials(1)] == ["FAIL", "RUNNING"]
    finished = (TrialState.COMPLETE, TrialState.FAIL)
    assert [t.number for t in shown.get_all_trials(1, states=finished)] == [0]


def test_of_many_trials_only_some_have_curves(url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a limit only the latest and best trials have curve and stack; all else is equal."""
    monkeypatch.setattr("trainstack.search.dashboard.storage.MANY", 4)
    monkeypatch.setattr("trainstack.search.dashboard.storage.DRAWN", 1)
    here = begun(url, trials=5)
    for value in (0.5, 0.1, 0.4, 0.3, 0.2):
        lease = here.claim()
        assert lease is not None
        here.report(lease, epochs(1))
        here.finish(lease, completed(value))
    shown, whole = opened(url).get_all_trials(1), exported(url).trials
    assert [t.number for t in shown if t.intermediate_values] == [1, 4]
    assert [t.number for t in shown if "stack" in t.user_attrs] == [1, 4]
    for ours, theirs in zip(shown, whole, strict=True):
        assert (ours.params, ours.values, ours.state) == (
            theirs.params,
            theirs.values,
            theirs.state,
        )


def test_of_very_many_trials_the_latest_and_the_best_are_listed(url: URL) -> None:
    """Earlier trials are listed only if best or running; new ones follow the listed ones."""
    here = begun(url, trials=9)
    other = open_client(url)
    running = other.claim()
    assert running is not None
    for value in (0.5, 0.1, 0.4, 0.3):
        lease = here.claim()
        assert lease is not None
        here.finish(lease, completed(value))
    whole = opened(url)
    shown = DashboardStorage(open_storage(engine(url)), whole._engine, latest=2, best=1)
    assert [t.number for t in shown.get_all_trials(1)] == [0, 2, 3, 4]
    other.finish(running, completed(0.9))
    assert here.claim() is not None
    assert [t.number for t in shown.get_all_trials(1)] == [0, 2, 3, 4, 5]
    assert shown.get_trial(whole.get_all_trials(1)[1]._trial_id).number == 1


def test_trials_are_written_by_the_fleet_alone(url: URL) -> None:
    """The dashboard cannot change a trial of ours, and works on other Optuna studies as usual."""
    studied(url)
    shown = opened(url)
    trial = shown.get_all_trials(1)[0]
    with pytest.raises(UpdateFinishedTrialError):
        shown.set_trial_user_attr(trial._trial_id, "mine", 1)
    with pytest.raises(UpdateFinishedTrialError):
        shown.create_new_trial(1)
    with pytest.raises(KeyError):
        shown.get_trial(2**40)
    foreign = optuna.create_study(study_name="foreign", storage=shown)
    foreign.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert [t.number for t in foreign.trials] == [0, 1]
    optuna.delete_study(study_name="foreign", storage=shown)
    assert optuna.get_all_study_names(shown) == ["s"]


def test_a_curve_is_of_the_metric_that_decides(url: URL, tmp_path) -> None:
    """Its column has the metric's name and the metric's own values, here those that rise."""
    here = begun(url, metric="roc_auc")
    lease = here.claim()
    assert lease is not None
    measured = [replace(m, objective=m.valid_loss / 10) for m in epochs(2)]
    here.report(lease, measured)
    store = Attached(opened(url)._engine, FolderStore(tmp_path))
    rows = list(csv.DictReader(io.TextIOWrapper(store.open_reader(f"1-{lease.task_id}"))))
    assert list(rows[0]) == ["epoch", "train_loss", "valid_roc_auc"]
    assert [float(row["valid_roc_auc"]) for row in rows] == [1 - m.minimized for m in measured]


def test_each_trial_has_its_curve_and_layers(url: URL, tmp_path) -> None:
    """Optuna lists two artifacts of a trial, with the current content of our tables."""
    first, *_ = studied(url)
    storage = opened(url)
    store = Attached(storage._engine, FolderStore(tmp_path))
    trial = storage.get_all_trials(1)[0]
    metas = get_all_artifact_meta(trial, storage=storage)
    assert [meta.filename for meta in metas] == ["curve.csv", "layers.csv"]
    curve, layers = (
        list(csv.DictReader(io.TextIOWrapper(store.open_reader(meta.artifact_id))))
        for meta in metas
    )
    assert [(int(r["epoch"]), float(r["valid_loss"])) for r in curve] == [
        (m.epoch, m.valid_loss) for m in epochs(3)
    ]
    assert [(r["moment"], r["layer"], float(r["dead"])) for r in layers] == [
        ("start", "1", 0.25),
        ("start", "2", 0.25),
    ]
    with pytest.raises(ArtifactNotFound):
        store.open_reader(f"3-{first}")
    with pytest.raises(ArtifactNotFound):
        store.open_reader("1-999999")
    store.write("0b7e-1-2-3-4", io.BytesIO(b"mine"))
    assert store.open_reader("0b7e-1-2-3-4").read() == b"mine"
    store.remove("0b7e-1-2-3-4")
    with pytest.raises(ArtifactNotFound):
        store.open_reader("0b7e-1-2-3-4")


def test_the_recommended_model_stands_on_its_trial(url: URL, tmp_path) -> None:
    """After the measurement the chosen stack's search trial offers the saved model, once."""
    studied(url)
    storage = opened(url)
    with storage._engine.begin() as connection:
        assert of_model(connection, 1) == (None, {})
        stack = connection.execute(select(tasks.c.stack).where(tasks.c.number == 0)).scalar_one()
        measured = {"kind": "measurement", "status": "done", "outcome": "completed", "seed": 1}
        measured |= {"payload": {"chosen": stack, "baseline": stack, "runs": {}}}
        measured |= {"artifacts": {"keras": "s/model.keras"}}
        connection.execute(tasks.insert().values(study_id=1, **measured))
        connection.execute(update(studies).values(phase="concluded"))
        number, named = of_model(connection, 1)
    store = FolderStore(tmp_path)
    store.write("s/model.keras", lambda file: file.write(b"weights"))
    shown = storage.get_all_trials(1)
    assert number == shown[0].number
    for trial in (shown[0], storage.get_trial(shown[0]._trial_id)):
        metas = get_all_artifact_meta(trial, storage=storage)
        (meta,) = (meta for meta in metas if meta.filename.endswith("s"))
        assert [json.loads(text)["artifact_id"] for text in named.values()] == [meta.artifact_id]
    assert Attached(storage._engine, store).open_reader(meta.artifact_id).read() == b"weights"
    assert len(get_all_artifact_meta(shown[1], storage=storage)) == 2
