"""The reference of the chapter's claims: one row per claim, with its experiment's comparisons."""

from __future__ import annotations

import json

from trainstack.search.claims.elsewhere import TABLE, elsewhere, in_words
from trainstack.search.claims.figures import FIGURES, LOSS
from trainstack.search.claims.table import CLAIMS
from trainstack.search.claims.types import Claim, Contrast
from trainstack.search.evidence.formatting import describe

ABOUT = (
    "`trainstack claims DATA --claim ID` tests these claims ([how-to](../how-to/test-a-claim.md)). "
    "Of each comparison the claim prefers the first choice, for a lower validation loss unless "
    "another figure is named. Everything else is as in the network named below the comparison, and "
    "the learning rate is tuned for each choice. A recommendation judges the same claims by the "
    "pairs of its own study.\n\n"
    "Inputs are standardised unless stated otherwise. *Lower layers of an autoencoder* are all "
    "hidden layers but the last of the same network, trained to reconstruct all training inputs; "
    "*of a related task*, trained on the earlier half of the classes with all labels, while the "
    "comparison uses the later half with few. They are frozen for a quarter of the epochs, then "
    "trained with the rest at a third of the rate."
)

POOLED = (
    "The same experiment was run on other data, three pairs for each comparison and 60 epochs, "
    "and pooled over the data sets, which are the unit and have equal weights (`python -m "
    "benchmarks.atlas.claims`; a random-effects model). A difference is a share of the second "
    "choice's figure, and below 0 in favour of the claim; it is pooled as the logarithm of the "
    "ratio of both figures (Hedges et al. 1999). A claim of several comparisons shows the one that "
    "decides its word. A study's report shows the same beside its own result."
)


def rows() -> list[tuple[str, str, str]]:
    """Return each claim's id, text and comparisons, as cells of a Markdown table."""
    return [(f"`{claim.id}`", claim.text, _compared(claim)) for claim in CLAIMS.values()]


def pooled_rows() -> list[tuple[str, str, str]]:
    """Return each claim that was tested on other data, as cells of a Markdown table."""
    return [(f"`{row.id}`", row.reason, in_words(row)) for row in elsewhere()]


def tested_on() -> str:
    """Return the names of those data sets."""
    return ", ".join(json.loads(TABLE.read_text("utf-8"))["data"])


def _compared(claim: Claim) -> str:
    if claim.measures is not None:
        return "both ways of predicting the test set, model by model"
    if not claim.contrasts:
        return f"not testable: needs {claim.needs}"
    comparisons = dict.fromkeys(_contrast(contrast) for contrast in claim.contrasts)
    return "<br>".join((*comparisons, f"*in {describe(claim.base)}*"))


def _contrast(contrast: Contrast) -> str:
    text = " against ".join(contrast.sides)
    if contrast.beyond is not None:
        text += ", beyond what " + " gains on ".join(contrast.beyond.sides)
    if contrast.at_least:
        text += ", at least as good"
    if contrast.figure != LOSS:
        text += f", by {FIGURES[contrast.figure].title}"
    if contrast.factor is not None:
        text += f", untuned at {contrast.factor:.2g} times the usual rate"
    return text
