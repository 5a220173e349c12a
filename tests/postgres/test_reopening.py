"""`confirm` continues the confirmation of a study, also after its test set was opened."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import URL, Engine, insert, select

from tests.support.studies import begun, completed, open_client, spec_of
from trainstack.search.cli.confirm import confirm
from trainstack.search.database.schema import events, workers
from trainstack.search.evidence import race
from trainstack.search.evidence.candidates import BASELINE
from trainstack.search.queue import queries
from trainstack.search.queue.reopening import REOPENED, reopen
from trainstack.search.queue.study_store import change
from trainstack.search.records import CONFIRMATION
from trainstack.search.studies.actions import create_study
from trainstack.spaces.errors import NothingToRecommend, RequestError, StudyError

pytestmark = pytest.mark.postgres


def concluded(url: URL, **changes: object) -> None:
    """Create a study and work it off to its end."""
    begun(url, trials=2, **changes)
    work(url)


def work(url: URL) -> None:
    """Finish all tasks, the stacks' losses by their ids, until the study concludes."""
    here = open_client(url, judge=race)
    for _ in range(300):
        if here.advance() == "concluded":
            return
        lease = here.claim()
        if lease is not None:
            value = 0.5 if lease.stack is None else int(lease.stack.stack_id[:4], 16) / 1e5
            here.finish(lease, completed(value + (lease.seed % 97) / 1e3))
    raise AssertionError("the study does not end")


def seeds(database: Engine) -> int:
    """Number of seeds of the default."""
    runs = queries.runs(database, "s", CONFIRMATION)
    return sum(r.stack_id == BASELINE.stack_id and r.seed_index < 100 for r in runs)


def test_a_concluded_study_gets_the_seeds_and_concludes_again(url: URL, database: Engine) -> None:
    """It confirms the asked number of seeds, measures again, and remembers the first look."""
    concluded(url)
    assert seeds(database) == 2
    reopen(database, "s", 6, 6, None)
    status = queries.status(database, "s")
    assert (status.state, status.concluded) == ("confirming", False)
    assert queries.measurement(database, "s") is None
    work(url)
    assert queries.status(database, "s").concluded
    assert seeds(database) == 6
    assert queries.measurement(database, "s") is not None
    spec, *_ = queries.evidence(database, "s")
    assert (spec.reopened, spec.least_replicates) == (1, 6)
    with database.connect() as connection:
        kinds = connection.execute(select(events.c.message).where(events.c.kind == REOPENED))
        assert kinds.scalars().all() == ["up to 6 seeds"]


def test_a_study_that_cannot_conclude_is_left_as_it_is(url: URL, database: Engine) -> None:
    """`confirm` without a finished trial is refused before anything is changed."""
    create_study(url, spec_of(trials=2), first=())
    before, *_ = queries.evidence(database, "s")
    with pytest.raises(NothingToRecommend, match="no finished trial"):
        confirm("s", replicates=6, storage=url.render_as_string(hide_password=False))
    after, *_ = queries.evidence(database, "s")
    assert after == before


def test_only_time_with_workers_has_elapsed(url: URL, database: Engine) -> None:
    """Neither an interruption nor the days from the conclusion to `confirm` count as elapsed."""
    create_study(url, spec_of(), first=())
    concluded_at = datetime.now(timezone.utc) - timedelta(days=3)

    def at(minutes: float) -> datetime:
        return concluded_at + timedelta(minutes=minutes)

    def elapsed() -> float:
        return queries.status(database, "s").elapsed_seconds / 60

    def came(joined: float, left: float, lost: bool = False) -> None:
        """Add a worker, whose times are in minutes after the conclusion."""
        card = {"study_id": 1, "host": "host", "pid": 1, "device": "cpu", "threads": 1}
        times = {"joined_at": at(joined), "seen_at": at(left), "left_at": at(left + 99 * lost)}
        state = "lost" if lost else "left"
        with database.begin() as connection:
            connection.execute(insert(workers).values(**card, version="0", state=state, **times))

    assert elapsed() == 0
    with database.begin() as connection:
        change(connection, 1, phase="concluded", created_at=at(-9_999), concluded_at=concluded_at)
    came(-2_000, -1_990)  # then an interruption
    came(-1_000, -997, lost=True)
    came(-20, -10)
    came(-15, 1)  # it was there until a minute after the conclusion
    assert elapsed() == pytest.approx(10 + 3 + 20)
    reopen(database, "s", 6, 6, None)
    assert elapsed() == pytest.approx(10 + 3 + 21)
    came(2_000, 2_005)
    before = elapsed()
    assert before == pytest.approx(10 + 3 + 21 + 5)
    open_client(url)
    assert elapsed() > before


def test_the_original_request_still_resumes_the_study(url: URL, database: Engine) -> None:
    """A launch repeated after `confirm` is the same request; one with other seeds is not."""
    concluded(url)
    reopen(database, "s", 4, 4, None)
    assert create_study(url, spec_of(trials=2), first=()) is False
    with pytest.raises(StudyError, match="most_replicates"):
        create_study(url, spec_of(trials=2, most_replicates=4), first=())


def test_seeds_asked_during_the_search_are_confirmed_with_it(url: URL, database: Engine) -> None:
    """Before the end nothing was looked at, so nothing is remembered."""
    begun(url, trials=2)
    reopen(database, "s", 5, 5, 60.0)
    work(url)
    spec, *_ = queries.evidence(database, "s")
    assert seeds(database) == 5
    assert (spec.reopened, spec.confirm_seconds) == (0, 60.0)


def test_a_study_without_a_confirmation_gets_its_first(url: URL, database: Engine) -> None:
    """With no replicates at launch, the asked seeds are the first block of all candidates."""
    concluded(url, replicates=0)
    reopen(database, "s", 3, 3, None)
    work(url)
    assert seeds(database) == 3
    assert queries.evidence(database, "s")[0].replicates == 3


def test_fewer_seeds_than_there_are_is_refused(url: URL, database: Engine) -> None:
    """As many seeds as the study has are no further ones."""
    concluded(url)
    with pytest.raises(RequestError, match="more than 2 seeds"):
        reopen(database, "s", 2, 2, None)
