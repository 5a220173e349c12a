"""The chapter's claims pooled over the data sets on which they were tested.

`elsewhere.json` holds them with their provenance; `python -m benchmarks.atlas.claims pool` writes
it from the recorded experiments.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from trainstack.search.claims.figures import FIGURES
from trainstack.search.claims.judging import figures_of, summed, word_of
from trainstack.search.claims.types import Answer, Claim, Contrast, Judgement
from trainstack.search.evidence.comparisons import EQUIVALENCE_MARGIN
from trainstack.search.evidence.estimates import Interval
from trainstack.search.evidence.pooling import pooled
from trainstack.search.records import Run

TABLE = Path(__file__).with_name("elsewhere.json")
# Variance within a data set, the same for all: less than any between them.
WITHIN = 1e-12

# Data set → for each contrast of a claim, the relative difference of each pair.
Recorded = Mapping[str, Sequence[Sequence[float]]]


@dataclass(frozen=True)
class Elsewhere:
    """A claim on other data sets.

    Attributes:
        id: `C1` to `C26`.
        word: `supported`, `contradicted`, `equivalent` or `no evidence`.
        effect: The first choice's figure minus the second's, as a share of the second's: the mean
            over data sets, of ratios the geometric one; below 0 in favour of the claim; null
            without data sets.
        ci95: Its 95 % interval, for the claim's comparisons together, or null.
        data_sets: Number of data sets.
        share: Share of them on which the effect is in favour of the claim, or null.
        reason: What was compared.
        figure: The figure compared.
    """

    id: str
    word: Answer
    effect: float | None
    ci95: Interval | None
    data_sets: int
    share: float | None
    reason: str
    figure: str


def relative_gaps(contrast: Contrast, paired: Sequence[tuple[Run, Run]]) -> list[float]:
    """Return a contrast's difference for each seed, as a share of the second choice's mean figure.

    Empty if the mean is 0, of which nothing is a share.
    """
    rows = figures_of(contrast, paired)
    scale = abs(float(np.mean([other for *_, other in rows]))) if rows else 0.0
    if not scale:
        return []
    gaps: dict[int, float] = {}
    for _, _, seed, one, other in rows:
        gaps[seed] = gaps.get(seed, 0.0) + (one - other) / scale
    return [gaps[seed] for seed in sorted(gaps)]


def pool(claim: Claim, recorded: Recorded) -> Elsewhere:
    """Judge a claim over data sets.

    A data set's effect is the logarithm of the ratio of both choices' mean figures, so that a half
    and a double weigh the same and no data set rules the mean; of a figure that may be below 0, and
    of what one comparison gains beyond another, it is the difference as a share. All data sets have
    the same weight: what varies within one is part of what its effect differs by from the others'.

    Reference: Hedges, Gurevitch and Curtis, "The meta-analysis of response ratios in experimental
    ecology", 1999.

    Args:
        claim: The claim.
        recorded: Its recorded differences; a data set with fewer than two pairs does not count.
    """
    tables = [
        {data: gaps[k] for data, gaps in recorded.items() if len(gaps[k]) > 1}
        for k in range(len(claim.contrasts))
    ]
    comparisons = max(1, sum(bool(table) for table in tables))
    parts = [
        _judged(contrast, table, comparisons)
        for contrast, table in zip(claim.contrasts, tables, strict=True)
    ]
    found = summed(claim, parts)
    if not found.n_pairs:
        return Elsewhere(claim.id, Answer.NO_EVIDENCE, None, None, 0, None, "", found.figure)
    place = next(k for k, one in enumerate(parts) if one.effect == found.effect and one.n_pairs)
    contrast = claim.contrasts[place]
    least = EQUIVALENCE_MARGIN if contrast.at_least else 0.0
    shares = [_share(contrast, effect) for effect in _effects(contrast, tables[place])]
    return Elsewhere(
        id=claim.id,
        word=found.word,
        effect=found.effect,
        ci95=found.ci95,
        data_sets=found.n_pairs,
        share=sum(share <= least for share in shares) / len(shares),
        reason=found.reason,
        figure=found.figure,
    )


def _judged(
    contrast: Contrast, table: Mapping[str, Sequence[float]], comparisons: int
) -> Judgement:
    """Judge a contrast over data sets; their number stands in the place of the pairs'."""
    text = " against ".join(contrast.sides)
    if not table:
        return Judgement(reason=f"no data set with {text}", figure=contrast.figure)
    effects = _effects(contrast, table)
    value = pooled(effects, [WITHIN] * len(effects), comparisons)
    ends = value.ci95 and (_share(contrast, value.ci95[0]), _share(contrast, value.ci95[1]))
    share = replace(value, mean=_share(contrast, value.mean), ci95=ends)
    word = word_of(share, 1.0, contrast.at_least)
    return Judgement(word, share.mean, share.ci95, share.n, text, contrast.figure)


def _effects(contrast: Contrast, table: Mapping[str, Sequence[float]]) -> list[float]:
    """Return the effect on each data set; none where the first choice's mean figure is 0."""
    means = [float(np.mean(gaps)) for gaps in table.values()]
    return [math.log1p(mean) for mean in means if mean > -1.0] if _is_ratio(contrast) else means


def _share(contrast: Contrast, effect: float) -> float:
    """Return an effect as a share of the second choice's figure."""
    return math.expm1(effect) if _is_ratio(contrast) else effect


def _is_ratio(contrast: Contrast) -> bool:
    return contrast.beyond is None and not FIGURES[contrast.figure].signed


def in_words(found: Elsewhere) -> str:
    """Return a claim's result on other data sets in words.

    >>> in_words(
    ...     Elsewhere("C7", Answer.SUPPORTED, -0.032, (-0.05, -0.01), 8, 0.875, "", "loss")
    ... )
    'supported: −3.2 % (−5.0 to −1.0), in favour on 7 of 8 data sets'
    """
    if found.effect is None or found.share is None:
        return str(found.word)
    ends = "" if found.ci95 is None else f" ({' to '.join(map(_percent, found.ci95))})"
    count = round(found.share * found.data_sets)
    return (
        f"{found.word}: {_percent(found.effect)} %{ends}, in favour on {count} of "
        f"{found.data_sets} data sets"
    )


def _percent(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


@cache
def elsewhere() -> tuple[Elsewhere, ...]:
    """Return the claims that were tested on other data sets, in the table's order."""
    document: dict[str, Any] = json.loads(TABLE.read_text("utf-8"))
    return tuple(_read(row) for row in document["claims"])


def _read(row: Mapping[str, Any]) -> Elsewhere:
    ends = row["ci95"]
    found = Elsewhere(**{**row, "word": Answer(row["word"])})
    return replace(found, ci95=None if ends is None else (ends[0], ends[1]))
