"""What the models that a study makes rest on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.studies import spec_of
from trainstack.workers.tasks.making import Maker
from trainstack.workers.tasks.validated import Validated

pytestmark = pytest.mark.keras


def test_half_of_the_rows_may_have_no_weight() -> None:
    """An ensemble without predictions of rows that did not choose it is still made."""
    rows = np.arange(8)
    p = np.tile([0.25, 0.75], (8, 1))
    bench: Any = SimpleNamespace(spec=spec_of())
    maker = Maker(bench, asked=SimpleNamespace(), runs=())  # type: ignore[arg-type]
    for weights, known in ((np.ones(8), True), (1.0 * (rows == 3), False)):
        valid = Validated(rows, rows % 2, weights, p)
        maker.__dict__["candidates"] = [(None, valid)]
        assert (maker._unchosen is not None) is known
