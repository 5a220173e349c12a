"""The stack that a study recommends, and what it was compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trainstack.search.evidence.candidates import Candidate, confirmed
from trainstack.search.evidence.challenge import FIRST_INDEX, Challenge, compared_runs
from trainstack.search.evidence.comparisons import LEVEL
from trainstack.search.records import Run
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class Choice:
    """The recommended stack and its competitors.

    Attributes:
        stack: The chosen stack.
        baseline: The chapter's default.
        candidates: All compared stacks, the baseline last.
        leader: The stack with the lowest confirmed loss.
        reasons: Sentences that justify the choice.
        out: Stack's id → reason why it left the race.
        barred: Ids of stacks excluded because they break a constraint.
        compared: Number of stacks with a confirmed loss that are not barred.
        level: Level of a family of intervals, so that they hold at every look.
        challenge: The challenge of the race's choice, if there is one.
    """

    stack: Stack
    baseline: Stack
    candidates: tuple[Candidate, ...]
    leader: Stack
    reasons: tuple[str, ...] = ()
    out: Mapping[str, str] = field(default_factory=dict)
    barred: frozenset[str] = frozenset()
    compared: int = 0
    level: float = LEVEL
    challenge: Challenge | None = None

    def seeds(self, replicates: int) -> range:
        """Return the seed indices of the runs to measure on the test set."""
        first = FIRST_INDEX if self.challenge is not None and self.challenge.won else 0
        return range(first, first + replicates)

    def table(self, runs: Sequence[Run]) -> dict[str, dict[int, Run]]:
        """Return the runs that count in the comparison: stack's id → seed index → run."""
        return confirmed(self.candidates, compared_runs(runs, self.challenge))
