"""The table of the chapter's claims, and what this study's runs say about each.

To add a claim, add a row. A row that runs can decide names two choices of one axis: the claim
holds when the first has the lower loss in pairs of runs that differ in that axis only. What a
search cannot decide says what would: then the word is `no evidence`, and so it is when there are
no pairs, or when their interval leaves it open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from search.evidence.effects import NO_EVIDENCE, confirmed_losses, pairs
from search.evidence.prediction import enough_passes, monte_carlo_gain
from search.evidence.statistics import Estimate, contrast, verdict
from search.records import Run
from spaces.axes import SELF_NORMALIZING
from spaces.stack import Stack

SUPPORTED, CONTRADICTED = "supported", "contradicted"
EQUIVALENT = "equivalent"

# The claims' word for what `statistics.verdict` says of the first choice.
_WORDS = {"better": SUPPORTED, "worse": CONTRADICTED, "equivalent": EQUIVALENT}


@dataclass(frozen=True)
class Context:
    """What a judge may look at.

    Attributes:
        runs: All runs.
        scale: The baseline's loss, of which the equivalence margin is a fraction.
        default: Chosen stack against the chapter's default: its verdict and estimate.
        comparisons: Number of claims judged together (`claims` counts them).
        measured: What the look at the test set found of the recommended stack.
    """

    runs: Sequence[Run]
    scale: float
    default: tuple[str, Estimate] | None = None
    comparisons: int = 1
    measured: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """What the runs say about a claim; `effect` is the loss difference, below 0 in its favour."""

    word: str = NO_EVIDENCE
    effect: float | None = None
    ci95: list[float] | None = None
    n_pairs: int = 0
    reason: str = ""


Judge = Callable[[Context], Judgement]


@dataclass(frozen=True)
class Claim:
    """A row of the table.

    Attributes:
        id: `C1` … `C26`.
        text: The claim in one line.
        section: Part of the chapter that makes it.
        judge: Decides it from runs; None where paired runs of a search cannot.
        needs: What would decide it, for the reader of `no evidence`.
    """

    id: str
    text: str
    section: str
    judge: Judge | None = None
    needs: str = "an experiment designed for it"


def among(meant: Callable[[Stack], bool], judge: Judge) -> Judge:
    """Return a judge that looks at runs of those stacks alone which a claim is about."""

    def narrowed(context: Context) -> Judgement:
        runs = [r for r in context.runs if r.stack is not None and meant(r.stack)]
        return judge(replace(context, runs=runs))

    return narrowed


def one_axis(axis: str, *steps: tuple[Any, Any]) -> Judge:
    """Return a judge of `first beats second` on one axis, for each of the steps given.

    The claim is supported when a step is and none is contradicted; contradicted when one is.
    """

    def judge(context: Context) -> Judgement:
        paired = [(pairs(context.runs, axis, *step), *step) for step in steps]
        paired = [row for row in paired if row[0]]
        family = context.comparisons * len(paired)
        table = confirmed_losses(context.runs)
        found = [(contrast(rows, table, family), len(rows), *step) for rows, *step in paired]
        if not found:
            return Judgement(reason=f"no paired runs that differ in {axis} only")
        words = [_WORDS.get(verdict(value, context.scale), NO_EVIDENCE) for value, *_ in found]
        order = (CONTRADICTED, SUPPORTED, EQUIVALENT, NO_EVIDENCE)
        word = next(w for w in order if w in words)
        value, n, first, second = found[words.index(word)]
        reason = f"{first} against {second}"
        if len(found) < len(steps):
            reason += f"; {len(found)} of {len(steps)} comparisons had pairs"
        return Judgement(word, value.mean, value.ci95, n, reason)

    return judge


def breaks_self_normalization(stack: Stack) -> bool:
    """Tell whether a stack would not self-normalize whatever its activation."""
    rest = SELF_NORMALIZING.keys() - {"activation", "initializer"}
    return any(stack[axis] != SELF_NORMALIZING[axis] for axis in rest)


def good_default(context: Context) -> Judgement:
    """Judge the default stack by the recommendation's verdict against it."""
    if context.default is None:
        return Judgement(reason="the default was not confirmed")
    word, value = context.default
    said = {
        "better": (CONTRADICTED, "a confirmed stack beats it"),
        "equivalent": (SUPPORTED, "no confirmed stack can be told to beat it"),
        "worse": (SUPPORTED, "it beats the recommended stack"),
    }.get(word, (NO_EVIDENCE, "the interval leaves it open"))
    # The recommended stack minus the default: turned round, so that below 0 favours the claim.
    turned = value.scaled(-1.0)
    return Judgement(said[0], turned.mean, turned.ci95, turned.n, said[1])


def better_probabilities(context: Context) -> Judgement:
    """Judge Monte-Carlo dropout by the log loss it wins over one pass, model by model."""
    value = monte_carlo_gain(context.measured, "log_loss", context.comparisons)
    if value.n < 2:
        return Judgement(reason="the recommended stack has no dropout, or one seed only")
    rows = context.measured["monte_carlo"]
    word = _WORDS.get(verdict(value, context.measured["log_loss"]), NO_EVIDENCE)
    passes, enough = f"{rows[-1]['passes']:.0f}", enough_passes(rows)
    reason = f"log loss of {passes} passes against one without dropout"
    if rows[-1]["log_loss"] < rows[0]["log_loss"]:
        reason += f"; {enough} passes give nine tenths of what {passes} win over one"
    return Judgement(word, value.mean, value.ci95, value.n, reason)


_LAYERS = "layer statistics of networks that break one condition at a time"
_STEPS = "time per step and epochs to a given loss, per activation"

CLAIMS: dict[str, Claim] = {
    claim.id: claim
    for claim in (
        Claim(
            *("C1", "SELU beats ELU beats leaky ReLU beats ReLU beats tanh beats logistic"),
            "activations",
            one_axis(
                "activation",
                *(("selu", "elu"), ("elu", "leaky_relu"), ("leaky_relu", "relu")),
                *(("relu", "tanh"), ("tanh", "sigmoid")),
            ),
        ),
        Claim(
            *("C2", "Where the network does not self-normalize, ELU beats SELU", "activations"),
            among(breaks_self_normalization, one_axis("activation", ("elu", "selu"))),
        ),
        Claim(
            *("C3", "ELU takes longer a step than ReLU but needs fewer epochs", "activations"),
            needs=_STEPS,
        ),
        Claim(
            *("C4", "The self-normalizing bundle keeps every layer near mean 0, deviation 1"),
            *("self-normalization",),
            needs=_LAYERS,
        ),
        Claim(
            *("C5", "Batch normalization helps, before or after the activation"),
            "normalization",
            one_axis("normalization", ("before", "none"), ("after", "none")),
        ),
        Claim(
            *("C6", "Batch normalization also regularizes", "normalization"),
            needs="the gap between training and validation loss, in pairs",
        ),
        Claim(
            *("C7", "Momentum beats plain gradient descent", "optimizers"),
            one_axis("optimizer", ("momentum", "sgd")),
        ),
        Claim(
            *("C8", "Nesterov's gradient beats momentum", "optimizers"),
            one_axis("optimizer", ("nesterov", "momentum")),
        ),
        Claim(
            *("C9", "AdaGrad stops too early on deep networks", "optimizers"),
            one_axis("optimizer", *((o, "adagrad") for o in ("rmsprop", "adam", "nadam"))),
        ),
        Claim(
            *("C10", "RMSProp mends AdaGrad", "optimizers"),
            one_axis("optimizer", ("rmsprop", "adagrad")),
        ),
        Claim(
            *("C11", "Nadam is at least as good as Adam; Adamax is steadier than Adam"),
            "optimizers",
            one_axis("optimizer", ("nadam", "adam")),
        ),
        Claim(
            *("C12", "On some data adaptive optimizers generalize worse than Nesterov"),
            "optimizers",
            one_axis("optimizer", *(("nesterov", o) for o in ("nadam", "adam", "rmsprop"))),
        ),
        Claim(
            *("C13", "Exponential scheduling is easy to tune and converges fast", "schedules"),
            needs="losses at several budgets and rates, exponential against the others",
        ),
        Claim(
            *("C14", "Any good schedule beats a constant rate", "schedules"),
            one_axis(
                "schedule",
                *((s, "constant") for s in ("performance", "exponential", "1cycle", "power")),
                *((s, "constant") for s in ("piecewise", "cosine", "linear")),
            ),
        ),
        Claim(
            *("C15", "Dropout slows convergence but pays when the network overfits"),
            "regularization",
            one_axis("dropout", ("all", "none"), ("last", "none")),
        ),
        Claim(
            *(
                "C16",
                "Where full dropout is too strong, after the last layer alone is better",
            ),
            "regularization",
            one_axis("dropout", ("last", "all")),
        ),
        Claim(
            *("C17", "Monte-Carlo dropout gives better probabilities than one pass"),
            "regularization",
            better_probabilities,
        ),
        Claim(
            *("C18", "On a self-normalizing network alpha dropout beats other regularizers"),
            "self-normalization",
            needs="pairs of self-normalizing networks that differ in the regularizer",
        ),
        Claim(
            *("C19", "A wrong initializer for the activation hurts, more so when deeper"),
            "initializers",
            needs="pairs with a deliberately wrong initializer, which no search draws",
        ),
        Claim(
            *("C20", "Clipping mends exploding gradients", "clipping"),
            one_axis("clipping", ("norm", "none"), ("value", "none")),
        ),
        Claim(
            *("C21", "Reusing lower layers of a related task helps when labels are scarce"),
            "reuse",
            needs="a related task and few labels",
        ),
        Claim(
            *("C22", "Unsupervised pretraining helps with few labels and much unlabelled data"),
            "reuse",
            needs="unlabelled data and few labels",
        ),
        Claim(*("C23", "The chapter's default stack is a good default", "summary"), good_default),
        Claim(
            *("C24", "L1 gives a sparse model at a small cost, FTRL a sparser one"),
            "deployment",
            needs="nonzero fraction against loss, in pairs",
        ),
        Claim(
            *("C25", "Fewer layers, no batch normalization and leaky ReLU give a faster model"),
            "deployment",
            needs="latency of exported models, in pairs",
        ),
        Claim(
            *("C26", "Standardised inputs beat inputs scaled to 0..1", "preprocessing"),
            needs="the same stacks trained on both scalings",
        ),
    )
}


def claims(context: Context) -> list[dict[str, Any]]:
    """Return one row a claim: id, text, section, word, effect, ci95, n_pairs, reason."""
    # Only claims that have pairs are comparisons; all of their intervals hold together.
    first = [_judged(claim, context) for claim in CLAIMS.values()]
    together = replace(context, comparisons=max(1, sum(found.n_pairs > 0 for found in first)))
    return [
        {
            "id": claim.id,
            "claim": claim.text,
            "section": claim.section,
            **asdict(_judged(claim, together)),
        }
        for claim in CLAIMS.values()
    ]


def _judged(claim: Claim, context: Context) -> Judgement:
    if claim.judge is None:
        return Judgement(reason=f"needs {claim.needs}")
    return claim.judge(context)
