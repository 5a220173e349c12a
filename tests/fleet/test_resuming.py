"""A returned trial resumes from its checkpoint at another worker."""

from __future__ import annotations

import pytest

from tests.support.fleet import PATIENCE_SECONDS, Fleet
from trainstack.search.data.load import load
from trainstack.search.data_spec import DataSpec
from trainstack.search.queue import history
from trainstack.spaces.references import REFERENCES
from trainstack.spaces.stack import Stack

pytestmark = [pytest.mark.fleet, pytest.mark.postgres, pytest.mark.keras]
EPOCHS = 2000


def digits() -> DataSpec:
    """Return real data available without a download."""
    found = load("digits", None, "auto")
    classes = tuple(str(name) for name in range(10))
    return DataSpec("digits", None, "classification", found.fingerprint, 64, classes)


def test_resumed_by_another_worker(fleet: Fleet) -> None:
    """A drained trial leaves a checkpoint; the next worker trains only the remaining epochs."""
    small = {"units": [16], "batch_size": 128, "stopping": "none"}
    stack = Stack.from_json({**REFERENCES["chapter-low-latency"].to_json(), **small})
    fleet.create(stacks=(stack,), data=digits(), epochs=EPOCHS)
    first = fleet.join("--drain-timeout=5", fake=False)
    fleet.training()
    first.terminate()
    assert first.wait(PATIENCE_SECONDS) == 0, fleet.log(first)
    (path,) = (fleet.folder / "artifacts").rglob("*.checkpoint.npz")
    assert fleet.status()["counts"]["waiting"] == 1
    fleet.join(fake=False)
    fleet.until(lambda status: status["counts"]["completed"])
    (trial,) = fleet.trials()
    assert (trial["attempt"], len(trial["curve"])) == (2, EPOCHS)
    assert not path.exists()
    attempts = history.attempts_at(fleet.engine, "s", 0)
    assert [a.ending for a in attempts] == ["given back", "completed"]
