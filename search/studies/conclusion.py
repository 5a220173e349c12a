"""The conclusion of a study, read from its tables: printed, drawn and shown on the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainstack.search.conclusion.recommendation import Recommendation, recommend
from trainstack.search.queue import queries
from trainstack.search.records import Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import NothingToRecommend

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True)
class Conclusion:
    """A study's recommendation and its evidence.

    Attributes:
        spec: Spec of the study.
        runs: All its runs.
        found: The recommendation.
    """

    spec: StudySpec
    runs: Sequence[Run]
    found: Recommendation


def conclusion_of(engine: Engine, study: str) -> Conclusion:
    """Read a study's evidence and derive its recommendation.

    Raises:
        NothingToRecommend: No trial finished, or the study only tests claims.
    """
    spec, runs, measured = queries.evidence(engine, study)
    if spec.experiment:
        raise NothingToRecommend(
            f"study '{study}' tests claims", "a study with a search", "use `trainstack claims`"
        )
    return Conclusion(spec, runs, recommend(spec, runs, measured))
