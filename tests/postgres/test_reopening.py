"""`confirm` continues the confirmation of a study, also after its test set was opened."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, Engine, select

from tests.support.studies import begun, completed, open_client, spec_of
from trainstack.search.database.schema import events
from trainstack.search.evidence import race
from trainstack.search.evidence.candidates import BASELINE
from trainstack.search.queue import queries
from trainstack.search.queue.reopening import REOPENED, reopen
from trainstack.search.records import CONFIRMATION
from trainstack.search.studies.actions import create_study
from trainstack.spaces.errors import RequestError, StudyError

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
