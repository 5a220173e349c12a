"""The table of pretraining: how the lower hidden layers are trained before the network itself."""

from __future__ import annotations

from trainstack.spaces.choices import Choice, Parameter, table

# Share of the plan's epochs in which the layers are frozen, and the factor on their rate after it.
_AFTERWARDS = (Parameter("frozen", 0.25, 0.0, 0.9), Parameter("rate_factor", 0.3, 0.0, 10.0))

PRETRAININGS: dict[str, Choice] = table(
    Choice("none", "fresh weights"),
    # Frozen and then trained at a lower rate: Yosinski et al., "How transferable are features in
    # deep neural networks?", 2014; Howard and Ruder 2018.
    Choice(
        "autoencoder",
        "the lowest layers, with all before them, are first trained to reconstruct the inputs "
        "(Bengio et al. 2007); the head's training then freezes them for a share of its epochs",
        (
            Parameter("layers", 2, 1, 1000, integer=True),
            Parameter("length", 0.25, 0.01, 1.0),
            Parameter("learning_rate", 0.001, 1e-6, 1.0),
            *_AFTERWARDS,
        ),
    ),
    Choice(
        "auxiliary",
        "the lowest layers are first trained to tell which values of a row were replaced by those "
        "of other rows (Yoon et al. 2020)",
        (
            Parameter("layers", 2, 1, 1000, integer=True),
            Parameter("length", 0.25, 0.01, 1.0),
            Parameter("learning_rate", 0.001, 1e-6, 1.0),
            Parameter("corruption", 0.3, 0.01, 0.9),
            *_AFTERWARDS,
        ),
    ),
    Choice(
        "reuse",
        "the lowest layers are those of a saved model (--reuse), frozen for a share of the epochs",
        (Parameter("layers", 1, 1, 1000, integer=True), *_AFTERWARDS),
    ),
)


def pretraining_epochs(length: float, epochs: int) -> int:
    """Return the epochs of pretraining: a share of the plan's, at least 1, besides the plan."""
    return max(1, round(length * epochs))


def frozen_epochs(share: float, epochs: int) -> int:
    """Return the number of first epochs in which pretrained layers are frozen."""
    return round(share * epochs)
