"""Records of the default over several data sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean

from trainstack.search.evidence.estimates import Difference, Verdict
from trainstack.search.evidence.formatting import describe
from trainstack.search.json_values import OR_NULL
from trainstack.spaces.references import REFERENCES, REGRESSION_FORMS
from trainstack.spaces.stack import Stack

_LABELS = {
    stack.stack_id: name
    for forms in (REFERENCES, REGRESSION_FORMS)
    for name, stack in forms.items()
}


@dataclass(frozen=True)
class Place:
    """Result of a stack on a data set.

    Attributes:
        data: The data set.
        loss: Its mean loss; null if it only diverged or was infeasible.
        n: Number of runs.
        rank: Its rank among the compared stacks, 1 for the best.
        regret: Its regret; null if its loss is.
    """

    data: str
    loss: float = field(metadata=OR_NULL)
    n: int
    rank: int
    regret: float = field(metadata=OR_NULL)


@dataclass(frozen=True)
class Entrant:
    """A stack trained on every data set.

    Attributes:
        stack: The stack.
        stack_id: Its fingerprint.
        label: Name of the reference stack, or null.
        description: The stack in words.
        mean_regret: Mean regret over the data sets; null if the stack failed to train on one.
        worst_regret: Largest regret on any data set, or null.
        mean_rank: Mean rank over the data sets.
        places: Its result on each data set, in their order.
    """

    stack: Stack
    stack_id: str
    label: str | None
    description: str
    mean_regret: float = field(metadata=OR_NULL)
    worst_regret: float = field(metadata=OR_NULL)
    mean_rank: float
    places: tuple[Place, ...]

    @classmethod
    def of(cls, stack: Stack, places: tuple[Place, ...], network: str = "") -> Entrant:
        """Return a stack's record from its places, in the order of the data sets.

        Args:
            stack: The stack.
            places: Its results.
            network: Name of the user's own network that every study is of; empty: dense layers.
        """
        regrets = [place.regret for place in places]
        return cls(
            stack=stack,
            stack_id=stack.stack_id,
            label=_LABELS.get(stack.stack_id),
            description=describe(stack, network),
            mean_regret=fmean(regrets),
            worst_regret=max(regrets),
            mean_rank=fmean(place.rank for place in places),
            places=places,
        )


@dataclass(frozen=True)
class LeftOut:
    """The stack chosen without one data set, and its result there.

    Attributes:
        data: The data set left out.
        stack_id: Fingerprint of the stack that the others choose.
        rank: Its rank there.
        regret: Its regret there, or null.
        default_regret: The chapter default's, or null.
    """

    data: str
    stack_id: str
    rank: int
    regret: float = field(metadata=OR_NULL)
    default_regret: float | None


@dataclass(frozen=True)
class Across:
    """The default over several data sets.

    Attributes:
        studies: Names of the studies.
        data: Their data sets, without repetition.
        word: `better`, `equivalent`, `undecided` against the chapter's default, or `no evidence`.
        sentence: The conclusion in one sentence.
        stack: The stack with the least mean regret; null without evidence.
        stack_id: Its fingerprint.
        difference: Its regret minus the chapter default's, paired by data set.
        stacks: Stacks trained on every data set, the least mean regret first.
        leave_one_out: What the others would choose, one row per data set; empty with fewer than
            two data sets or stacks.
    """

    studies: tuple[str, ...]
    data: tuple[str, ...]
    word: Verdict
    sentence: str
    stack: Stack | None
    stack_id: str | None
    difference: Difference
    stacks: tuple[Entrant, ...]
    leave_one_out: tuple[LeftOut, ...]


def stack_name(stack_id: str) -> str:
    """Return the name of the reference stack with a fingerprint, or the fingerprint."""
    return _LABELS.get(stack_id, stack_id)
