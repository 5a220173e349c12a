"""The average and the ensemble, compared on rows that none of their networks was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from trainstack.search.evidence.default_model import AVERAGE, ENSEMBLE
from trainstack.search.spec import StudySpec
from trainstack.workers.tasks.validated import Validated, aligned, together


def compared(
    spec: StudySpec,
    runs: Sequence[Validated],
    searched: Sequence[Validated],
    ensemble: Validated,
) -> dict[str, float]:
    """Return the metric of the average and of the ensemble, before calibration.

    Both are for the rows that a confirmation run and the search hold out, once for each such run.
    The run's network is one of the average. What their mean gains is found on all rows that two
    networks of the stack hold out: the gain of the mean of two. That mean has fewer networks than
    the average, which makes its gain smaller; but its networks are trained on other rows, which
    makes it larger. Both errors are of about the same size (decision 0095).

    Args:
        spec: The study's specification.
        runs: Validation rows of the recommended stack's confirmation runs.
        searched: Those of its search trials.
        ensemble: The search's validation rows, with predictions of an ensemble that they did not
            choose.

    Returns:
        Kind → metric; empty if there are no such rows, or the metric has no value for them.
    """
    pairs = [aligned(*pair) for pair in combinations([*runs, *searched], 2)]
    one, other = (together([pair[k] for pair in pairs]) for k in (0, 1))
    both = [aligned(run, ensemble) for run in runs]
    single, mixed = (together([pair[k] for pair in both]) for k in (0, 1))
    if one is None or other is None or single is None or mixed is None:
        return {}
    if not len(one.rows) or not len(single.rows):
        return {}
    mean_of_two = replace(one, p=(one.p + other.p) / 2).score(spec)
    gain = mean_of_two - (one.score(spec) + other.score(spec)) / 2
    found = {AVERAGE: single.score(spec) + gain, ENSEMBLE: mixed.score(spec)}
    return found if all(map(np.isfinite, found.values())) else {}
