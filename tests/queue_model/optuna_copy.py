"""What Optuna's storage holds once the export has caught up, written down independently."""

from __future__ import annotations

import math
from collections.abc import Iterable

from optuna.trial import FrozenTrial

from tests.queue_model.snapshot import Snapshot, Task

_STATES = {
    "waiting": "WAITING",
    "running": "RUNNING",
    "completed": "COMPLETE",
    "pruned": "PRUNED",
    "diverged": "PRUNED",
    "infeasible": "PRUNED",
    "failed": "FAIL",
    "voided": "FAIL",
}
# Ten times the loss of a model that knows nothing, with the two classes of these studies.
_BAD = 10.0 * math.log(2.0)


def check_copy(copies: Iterable[FrozenTrial], now: Snapshot) -> None:
    """Check that Optuna has every search trial that was begun, in order, as our tables have it.

    Raises:
        AssertionError: It has not.
    """
    begun = {t.number: t for t in now.tasks.values() if t.kind == "search" and t.number is not None}
    wanted = [_copy(number, begun[number]) for number in sorted(begun)]
    found = [
        (copy.number, copy.state.name, copy.value, copy.user_attrs.get("stack_id"))
        for copy in copies
    ]
    assert found == wanted, f"Optuna has {found} instead of {wanted}"


def _copy(number: int, task: Task) -> tuple[int, str, float | None, str | None]:
    word = task.outcome or task.status
    value = task.value if word in ("completed", "pruned") else None
    value = _BAD if word in ("diverged", "infeasible") else value
    return number, _STATES[word], value, task.stack_id
