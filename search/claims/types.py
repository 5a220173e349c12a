"""The types of the table of claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainstack.search.claims.figures import LOSS
from trainstack.search.conditions import PLAIN, Condition
from trainstack.search.evidence.estimates import Estimate, Interval
from trainstack.search.evidence.formatting import name
from trainstack.search.evidence.measured import Measured
from trainstack.search.json_values import INLINE
from trainstack.search.records import Run, Word
from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class Contrast:
    """A comparison: the first choices have a lower figure than the second.

    Attributes:
        first: `axis` → choice that the claim prefers; `axis__parameter` → number that an
            experiment uses (pairs of other studies may have other numbers).
        second: The choices to compare with, for the same axes.
        figure: One of FIGURES.
        at_least: True if the claim is only that the first is not worse by more than the margin.
        factor: Train both at this factor of their usual learning rate, untuned; None: tuned.
        names: Names of both sides in sentences; empty: their choices, if they differ in one axis.
        under: Conditions of each side beside its stack; only an experiment makes such runs.
        beyond: Another contrast whose gain this one must exceed; the difference of the two
            differences is judged.
    """

    first: Mapping[str, Any]
    second: Mapping[str, Any]
    figure: str = LOSS
    at_least: bool = False
    factor: float | None = None
    names: tuple[str, ...] = ()
    under: tuple[Condition, Condition] = (PLAIN, PLAIN)
    beyond: Contrast | None = None

    @property
    def conditional(self) -> bool:
        """True if no run of a search can belong to the contrast."""
        return any(self.under)

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes in which the two may differ."""
        keys = dict.fromkeys((*self.first, *self.second))
        return tuple(key for key in keys if "__" not in key)

    @property
    def sides(self) -> tuple[str, str]:
        """Both choices in words."""
        if self.names:
            return self.names[0], self.names[1]
        (axis,) = self.axes
        return in_words(axis, self.first[axis]), in_words(axis, self.second[axis])


# Axes whose choices a sentence understands without the axis's name.
_PLAIN = ("activation", "optimizer", "schedule", "units")


def in_words(axis: str, choice: Any) -> str:
    """Return a choice on an axis in words.

    >>> in_words("activation", "relu"), in_words("dropout", "last"), in_words("dropout", "none")
    ('ReLU', 'dropout last', 'no dropout')
    """
    title = axis.replace("_", " ")
    if choice == "none":
        return f"no {title}"
    return name(choice) if axis in _PLAIN else f"{title} {name(choice)}"


def steps(axis: str, *pairs: tuple[Any, Any], **more: Any) -> tuple[Contrast, ...]:
    """Return contrasts on one axis from pairs (better, worse)."""
    return tuple(Contrast({axis: first}, {axis: second}, **more) for first, second in pairs)


def made(base: Stack, choices: Mapping[str, Any]) -> Stack:
    """Return a stack with some choices; an activation brings its initializer unless named."""
    activation = choices.get("activation", base["activation"])
    if activation != base["activation"] and "initializer" not in choices:
        choices = {**choices, "initializer": ACTIVATIONS[activation].initializers[0]}
    return base.but(**choices)


@dataclass(frozen=True)
class Context:
    """The input of a judge.

    Attributes:
        runs: All runs.
        scale: The baseline's loss, of which the equivalence margin is a fraction; None: the loss
            of the second choice, as for every other figure.
        rival: The strongest confirmed stack's loss minus the chapter default's; None: no pair.
        comparisons: Number of claims judged together.
        measured: Test-set measurement of the recommended stack.
        resolution: Least difference of the objective that means something (`Deciding`).
        voids: What in a user's own network voids self-normalization; empty: nothing does.
    """

    runs: Sequence[Run]
    scale: float | None
    rival: Estimate | None = None
    comparisons: int = 1
    measured: Measured = field(default_factory=Measured)
    resolution: float = 0.0
    voids: str = ""


class Answer(Word):
    """What runs say of a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    EQUIVALENT = "equivalent"
    NO_EVIDENCE = "no evidence"


@dataclass(frozen=True)
class Judgement:
    """The judgement of a claim or of one of its contrasts.

    Attributes:
        word: `supported`, `contradicted`, `equivalent` or `no evidence`.
        effect: Difference of the figure, below 0 in favour of the claim; null without pairs.
        ci95: Its 95 % interval, for all claims together, or null.
        n_pairs: Number of pairs.
        reason: What was compared, or what is needed to decide.
        figure: The figure compared: `loss` unless the claim names another, such as `latency_ms`.
    """

    word: Answer = Answer.NO_EVIDENCE
    effect: float | None = None
    ci95: Interval | None = None
    n_pairs: int = 0
    reason: str = ""
    figure: str = LOSS


@dataclass(frozen=True)
class Finding:
    """A claim of the chapter and its judgement.

    Attributes:
        id: `C1` to `C26`.
        claim: The claim in one line.
        section: Part of the chapter that makes it.
        judgement: Its judgement.
    """

    id: str
    claim: str
    section: str
    judgement: Judgement = field(metadata=INLINE)


Judge = Callable[[Context], Judgement]


@dataclass(frozen=True)
class Claim:
    """A row of the table of claims.

    Attributes:
        id: `C1` … `C26`.
        text: The claim in one line.
        section: Part of the chapter that makes it.
        contrasts: Comparisons that decide the claim; they define the arms of its experiment.
        base: The stack that an experiment modifies by the contrasts' choices.
        every: True if each contrast must hold; else one suffices, and none may be refuted.
        among: Selects the stacks to which the claim applies, by `Context.voids`; None: all.
        judge: Decides the claim in place of the contrasts' pairs.
        measures: Choices of the stack whose test-set measurement `judge` needs.
        needs: What would decide the claim if it has neither contrasts nor a judge.
    """

    id: str
    text: str
    section: str
    contrasts: tuple[Contrast, ...] = ()
    base: Stack = CHAPTER_DEFAULT
    every: bool = False
    among: Callable[[Stack, str], bool] | None = None
    judge: Judge | None = None
    measures: Mapping[str, Any] | None = None
    needs: str = "an experiment designed for it"

    @property
    def testable(self) -> bool:
        """True if an experiment can be designed for the claim."""
        return bool(self.contrasts) or self.measures is not None
