"""The table of the chapter's claims, and their judgement by a study's runs.

To add a claim, add a row. A claim that runs can decide has `contrasts`: it holds if the first
choice has a lower loss, or other figure, than the second in pairs of otherwise equal runs.
`trainstack claims` trains exactly these pairs, from the row's `base`. Any other claim states in
`needs` what would decide it; its word is `no evidence`, as it is without pairs or when the interval
is inconclusive.
"""

from __future__ import annotations

from dataclasses import replace

from trainstack.search.claims.designs import (
    DEEP,
    DEEP_RELU,
    NO_PENALTY,
    ONLY_CLAIMS,
    RELU,
    RESIDUAL,
    SMALL_BATCHES,
    SPARSE,
    SPARSER,
    against_reference,
    alpha_dropout,
    breaks_self_normalization,
    broken,
    condition_broken,
    in_a_chain,
    reused,
    self_normalizing_but_for_regularizers,
    wrong_initializers,
)
from trainstack.search.claims.judging import better_probabilities, good_default, of_a_study
from trainstack.search.claims.types import Claim, Context, Contrast, Finding, Judgement, steps
from trainstack.search.conditions import AUTOENCODER, LATER, RELATED, Condition
from trainstack.spaces.preparations import STANDARD
from trainstack.spaces.references import CLASSICS

CLAIMS: dict[str, Claim] = {
    claim.id: claim
    for claim in (
        Claim(
            *("C1", "SELU beats ELU beats leaky ReLU beats ReLU beats tanh beats logistic"),
            "activations",
            steps(
                "activation",
                *(("selu", "elu"), ("elu", "leaky_relu"), ("leaky_relu", "relu")),
                *(("relu", "tanh"), ("tanh", "sigmoid")),
            ),
            every=True,
        ),
        Claim(
            *("C2", "Where the network does not self-normalize, ELU beats SELU", "activations"),
            steps("activation", ("elu", "selu")),
            RESIDUAL,
            among=breaks_self_normalization,
        ),
        Claim(
            *("C3", "ELU takes longer per step than ReLU but needs fewer epochs", "activations"),
            (
                *steps("activation", ("relu", "elu"), figure="epoch_seconds"),
                *steps("activation", ("elu", "relu"), figure="epochs"),
            ),
            RELU,
            every=True,
        ),
        Claim(
            *("C4", "The self-normalizing bundle keeps every layer near mean 0, deviation 1"),
            "self-normalization",
            (
                broken("ELU and He", activation="elu", initializer="he_normal"),
                broken("skip connections", connection="residual"),
                broken("L2", penalty="l2"),
                broken("max-norm", max_norm="clip"),
                condition_broken("one with He", Condition(initializer="he_normal")),
                broken("inputs scaled to 0..1", preparation="unit"),
            ),
            DEEP,
            every=True,
            among=in_a_chain,
        ),
        Claim(
            *("C5", "Batch normalization helps, before or after the activation"),
            "normalization",
            steps("normalization", ("before", "none"), ("after", "none")),
            RELU.but(units=[100] * 5),
        ),
        Claim(
            *("C6", "Batch normalization also regularizes", "normalization"),
            steps("normalization", ("before", "none"), ("after", "none"), figure="gap"),
            RELU,
        ),
        Claim(
            *("C7", "Momentum beats plain gradient descent", "optimizers"),
            steps("optimizer", ("momentum", "sgd")),
        ),
        Claim(
            *("C8", "Nesterov's gradient beats momentum", "optimizers"),
            steps("optimizer", ("nesterov", "momentum")),
        ),
        Claim(
            *("C9", "AdaGrad stops too early on deep networks", "optimizers"),
            steps("optimizer", *((o, "adagrad") for o in ("rmsprop", "adam", "nadam"))),
            DEEP,
        ),
        Claim(
            *("C10", "RMSProp fixes AdaGrad's early stop", "optimizers"),
            steps("optimizer", ("rmsprop", "adagrad")),
            DEEP,
        ),
        Claim(
            *("C11", "Nadam is at least as good as Adam; Adamax is steadier than Adam"),
            "optimizers",
            (
                *steps("optimizer", ("nadam", "adam"), at_least=True),
                *steps("optimizer", ("adamax", "adam"), figure="rises"),
            ),
            every=True,
        ),
        Claim(
            *("C12", "On some data adaptive optimizers generalize worse than Nesterov"),
            "optimizers",
            steps("optimizer", *(("nesterov", o) for o in ("nadam", "adam", "rmsprop"))),
        ),
        Claim(
            *("C13", "Exponential scheduling is easy to tune and converges fast", "schedules"),
            tuple(
                contrast
                for other in ("constant", "performance", "power")
                for more in ({"figure": "epochs"}, {"factor": 1 / 3}, {"factor": 3.0})
                for contrast in steps("schedule", ("exponential", other), **more)
            ),
            every=True,
        ),
        Claim(
            *("C14", "Any good schedule beats a constant rate", "schedules"),
            steps(
                "schedule",
                *((s, "constant") for s in ("performance", "exponential", "1cycle", "power")),
                *((s, "constant") for s in ("piecewise", "cosine", "linear")),
            ),
        ),
        Claim(
            *("C15", "Dropout slows convergence but pays when the network overfits"),
            "regularization",
            (
                *steps("dropout", ("all", "none"), ("last", "none")),
                *steps("dropout", ("none", "all"), figure="epochs"),
            ),
            RELU,
            every=True,
        ),
        Claim(
            *("C16", "Where full dropout is too strong, after the last layer alone is better"),
            "regularization",
            (
                Contrast(
                    {"dropout": "last", "dropout__rate": 0.5},
                    {"dropout": "all", "dropout__rate": 0.5},
                ),
            ),
            RELU,
        ),
        Claim(
            *("C17", "Monte-Carlo dropout gives better probabilities than one pass"),
            "regularization",
            judge=better_probabilities,
            measures={"dropout": "all"},
        ),
        Claim(
            *("C18", "On a self-normalizing network alpha dropout beats other regularizers"),
            "self-normalization",
            (
                alpha_dropout("L1", penalty="l1"),
                alpha_dropout("L2", penalty="l2"),
                alpha_dropout("max-norm", max_norm="clip"),
            ),
            every=True,
            among=self_normalizing_but_for_regularizers,
        ),
        Claim(
            *("C19", "A wrong initializer for the activation hurts, more so when deeper"),
            "initializers",
            (
                *wrong_initializers("selu", "he_normal", 20),
                *wrong_initializers("relu", "glorot_normal", 20),
            ),
            every=True,
            needs=ONLY_CLAIMS,
        ),
        Claim(
            *("C20", "Clipping fixes exploding gradients", "clipping"),
            steps("clipping", ("norm", "none"), ("value", "none")),
            DEEP_RELU.but(connection="residual", optimizer="momentum"),
        ),
        Claim(
            *("C21", "Reusing lower layers of a related task helps when labels are scarce"),
            "reuse",
            (reused(RELATED, 50, LATER),),
            SMALL_BATCHES,
            needs=ONLY_CLAIMS,
        ),
        Claim(
            *("C22", "Unsupervised pretraining helps with few labels and much unlabelled data"),
            "reuse",
            (reused(AUTOENCODER, 100),),
            SMALL_BATCHES,
            needs=ONLY_CLAIMS,
        ),
        Claim(
            *("C23", "The chapter's default stack is a good default", "summary"),
            tuple(against_reference(name) for name in CLASSICS),
            every=True,
            judge=good_default,
        ),
        Claim(
            *("C24", "L1 gives a sparse model at a small cost, FTRL a sparser one"),
            "deployment",
            (
                Contrast(*(SPARSE, NO_PENALTY, "nonzero_fraction"), names=("L1", "no penalty")),
                Contrast(SPARSE, NO_PENALTY, at_least=True, names=("L1", "no penalty")),
                Contrast(*(SPARSER, SPARSE, "nonzero_fraction"), names=("FTRL", "Nadam with L1")),
            ),
            RELU,
            every=True,
        ),
        Claim(
            *("C25", "Fewer layers, no batch normalization and leaky ReLU give a faster model"),
            "deployment",
            (
                *steps("units", ((100,), (100,) * 4), figure="latency_ms"),
                *steps("normalization", ("none", "before"), figure="latency_ms"),
                *steps("activation", ("leaky_relu", "selu"), figure="latency_ms"),
            ),
            every=True,
        ),
        Claim(
            *("C26", "Standardised inputs beat inputs scaled to 0..1", "preprocessing"),
            steps(
                *("preparation", (STANDARD, "unit")),
                names=("standardised inputs", "inputs scaled to 0..1"),
            ),
        ),
    )
}


def claims(context: Context) -> tuple[Finding, ...]:
    """Judge every claim by all pairs among a study's runs."""
    # Only claims with pairs count as comparisons; their intervals hold simultaneously.
    first = [of_a_study(claim, context) for claim in CLAIMS.values()]
    together = replace(context, comparisons=max(1, sum(found.n_pairs > 0 for found in first)))
    return tuple(finding(claim, of_a_study(claim, together)) for claim in CLAIMS.values())


def finding(claim: Claim, judgement: Judgement) -> Finding:
    """Return the record of a claim and its judgement."""
    return Finding(claim.id, claim.text, claim.section, judgement)
