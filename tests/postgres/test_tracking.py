"""Mirroring a study to trackers: what they have in the end, whatever happened meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.support.studies import completed, open_client, spec_of
from trainstack.search.queue.queries import trials
from trainstack.search.records import Result
from trainstack.search.studies.actions import create_study, void_trial
from trainstack.search.tracking import mirroring
from trainstack.search.tracking.mirroring import Mirroring, TrackerAwayError, mirror
from trainstack.search.tracking.records import TrackedRun, TrackedStudy
from trainstack.search.tracking.to_tensorboard import Mirror
from trainstack.search.tracking.trackers import Tracked
from trainstack.spaces.references import REFERENCES

pytestmark = pytest.mark.postgres


class Memory:
    """A tracker in memory that can be away, and fails in the middle of a run if told to."""

    def __init__(self) -> None:
        self.runs: dict[str, TrackedRun] = {}
        self.added: list[str] = []
        self.conclusions: list[Mapping[str, float]] = []
        self.away = False
        self.fails_at = ""

    def open(self, study: TrackedStudy) -> dict[str, str]:
        self._check()
        return {key: run.version for key, run in self.runs.items()}

    def add(self, run: TrackedRun) -> None:
        self._check()
        if run.key == self.fails_at:
            self.fails_at = ""
            raise ConnectionError("the connection was reset")
        self.added.append(run.key)
        self.runs[run.key] = run

    def conclude(
        self, version: str, figures: Mapping[str, float], words: str, files: Sequence[Path]
    ) -> None:
        self._check()
        self.conclusions.append(figures)

    def _check(self) -> None:
        if self.away:
            raise ConnectionError("no answer")


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """The tracker that `mirrored` mirrors to."""
    found = Memory()
    monkeypatch.setattr(Tracked, "opened", lambda self: found)
    return found


def mirrored(database: Engine) -> Mirroring:
    """A mirroring of the study."""
    return Mirroring(database, "s", Tracked("mlflow", "memory"))


def trained(url: URL, count: int, trial: int = 0) -> None:
    """Finish some search trials."""
    here = open_client(url)
    for place in range(trial, trial + count):
        lease = here.claim()
        assert lease is not None
        here.finish(lease, completed(1.0 - place / 10))


def concluded(url: URL) -> None:
    """Bring a study whose trials have ended to its conclusion."""
    here = open_client(url)
    while here.advance() != "concluded":
        lease = here.claim()
        assert lease is not None
        here.finish(lease, Result("completed") if lease.number is None else completed(0.5))


def test_every_run_is_there_once(url: URL, database: Engine, memory: Memory) -> None:
    """Each round adds what has ended since; curves and stacks are the study's own."""
    create_study(url, spec_of(trials=4))
    here = mirrored(database)
    assert not here.round()
    assert memory.added == []
    trained(url, 2)
    assert not here.round()
    trained(url, 2, trial=2)
    assert not here.round()
    assert memory.added == ["trial 0", "trial 1", "trial 2", "trial 3"]
    for row in trials(database, "s"):
        run = memory.runs[f"trial {row.number}"]
        assert tuple(run.curves["valid_loss"]) == row.curve
        assert row.stack is not None
        assert run.parameters == {k: str(v) for k, v in row.stack.to_json().items()}
        assert run.figures["value"] == row.value
    concluded(url)
    assert here.round()
    assert here.round()
    assert len(memory.conclusions) == 1
    assert len(memory.added) == len(set(memory.added)) == here.count == 8


def test_what_was_missed_is_caught_up(url: URL, database: Engine, memory: Memory) -> None:
    """A tracker that is away, or fails half-way, has everything once it is back."""
    create_study(url, spec_of(trials=6))
    here, memory.away = mirrored(database), True
    trained(url, 3)
    with pytest.raises(TrackerAwayError, match="no answer"):
        here.round()
    memory.away, memory.fails_at = False, "trial 1"
    with pytest.raises(TrackerAwayError, match="reset"):
        here.round()
    trained(url, 3, trial=3)
    here.round()
    assert sorted(memory.added) == [f"trial {k}" for k in range(6)]


def test_a_new_process_adds_only_what_is_missing(
    url: URL, database: Engine, memory: Memory
) -> None:
    """The tracker itself says what it has."""
    create_study(url, spec_of(trials=4))
    trained(url, 2)
    mirrored(database).round()
    trained(url, 1, trial=2)
    mirrored(database).round()
    assert memory.added == ["trial 0", "trial 1", "trial 2"]


def test_a_voided_trial_is_brought_up_to_date(url: URL, database: Engine, memory: Memory) -> None:
    """The run stays, with its new outcome."""
    create_study(url, spec_of(trials=4))
    trained(url, 2)
    here = mirrored(database)
    here.round()
    void_trial(url, "s", 1, "a spoilt disk")
    here.round()
    assert memory.added == ["trial 0", "trial 1", "trial 1"]
    assert memory.runs["trial 1"].outcome == "voided"


def test_more_runs_than_a_batch_are_added(
    url: URL, database: Engine, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs are read in parts, and none is left out."""
    monkeypatch.setattr(mirroring, "BATCH", 2)
    create_study(url, spec_of(trials=5))
    trained(url, 5)
    mirrored(database).round()
    assert sorted(memory.added) == [f"trial {k}" for k in range(5)]


def test_the_wait_grows_while_the_tracker_is_away_and_one_round_follows_the_end(
    url: URL, database: Engine, memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once that the tracker is away; the last round begins when the command leaves."""
    create_study(url, spec_of(trials=2))
    trained(url, 1)
    memory.away, waits = True, list[float]()

    def pause(seconds: float) -> bool:
        waits.append(seconds)
        if len(waits) == 5:
            memory.away = False
        return len(waits) < 5

    assert mirror(mirrored(database), pause, every=2.0, longest=10.0)
    assert waits == [4.0, 8.0, 10.0, 10.0, 10.0]
    assert memory.added == ["trial 0"]
    assert [record.getMessage() for record in caplog.records] == [
        "no answer; its runs are added later"
    ]


def test_a_tracker_that_stays_away_is_reported(url: URL, database: Engine, memory: Memory) -> None:
    """The last round says that not everything is there."""
    create_study(url, spec_of(trials=2))
    memory.away = True
    assert not mirror(mirrored(database), lambda seconds: False)


def test_tensorboard_reads_the_curves_back(url: URL, database: Engine, tmp_path: Path) -> None:
    """TensorBoard's own reader finds every curve, figure and hyperparameter."""
    create_study(url, spec_of(trials=3))
    trained(url, 3)
    concluded(url)
    here = Mirroring(database, "s", Tracked("tensorboard", str(tmp_path)))
    assert here.round()
    for row in trials(database, "s"):
        read = EventAccumulator(str(tmp_path / "s" / f"trial-{row.number}")).Reload()
        losses = [(event.step, event.value) for event in read.Scalars("valid_loss")]
        expected = list(enumerate(row.curve, start=1))
        assert losses == [(step, pytest.approx(value)) for step, value in expected]
        assert read.Scalars("result/value")[0].value == pytest.approx(row.value)
        assert "_hparams_/session_start_info" in read.summary_metadata
    assert (tmp_path / "s" / "conclusion" / "report.html").exists()


def test_two_studies_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    """A study that was made anew does not mix with the one before it."""
    from datetime import datetime, timezone

    first = TrackedStudy("s", datetime(2026, 1, 1, tzinfo=timezone.utc))
    second = TrackedStudy("s", datetime(2026, 2, 1, tzinfo=timezone.utc))
    for study in (first, second):
        mirror_of = Mirror(str(tmp_path))
        assert mirror_of.open(study) == {}
        mirror_of.conclude(study.stamp, {}, "done", [])
    again = Mirror(str(tmp_path))
    assert again.open(first) == {"study": first.stamp}
    assert again.open(second) == {"study": second.stamp}


def test_the_parameters_of_a_stack_are_its_document() -> None:
    """Every choice and number of a stack is a parameter of its run."""
    from trainstack.search.tracking.records import parameters_of

    stack = REFERENCES["chapter-default"]
    assert parameters_of(stack)["optimizer.learning_rate"] == "0.001"
    assert parameters_of(stack).keys() == stack.to_json().keys()
