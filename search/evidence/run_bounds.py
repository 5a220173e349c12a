"""How many runs a study's confirmation may take at most, known before any has ended."""

from __future__ import annotations

from trainstack.search.evidence.ablation import (
    FACTORS,
    FEWEST_SEEDS,
    MOST_AXES,
    TUNED,
    searched_axes,
)
from trainstack.search.evidence.candidates import MOST_CANDIDATES
from trainstack.search.evidence.extension import MOST_CONTENDERS, ends_of
from trainstack.search.spec import StudySpec


def most_runs(spec: StudySpec) -> int:
    """Return the most confirmation runs of a search: race, further seeds, ablations, a challenge.

    Most studies take far fewer: the race drops stacks, and further seeds end once it is decided.
    """
    first = spec.replicates
    stacks = min(MOST_CANDIDATES, len(spec.stacks) or spec.trials) + 1
    further = max((0, *(end - first for end in ends_of(spec))))
    axes = searched_axes(spec) if first >= FEWEST_SEEDS else ()
    costs = sorted((first + (len(FACTORS) if axis in TUNED else 0) for axis in axes), reverse=True)
    again = 3 * first if costs and spec.most_replicates >= 2 * first else 0
    seeds = stacks * first + min(stacks, MOST_CONTENDERS + 1) * further
    return seeds + sum(costs[:MOST_AXES]) + again
