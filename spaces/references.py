"""The table of reference stacks: the chapter's default, its variants, and classic stacks.

They are enqueued before sampling starts, so that every search begins with known good stacks and
every comparison has its baseline. To add one, add a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trainstack.spaces.errors import RequestError, nearest
from trainstack.spaces.network_space import held
from trainstack.spaces.own_numbers import check_without_network
from trainstack.spaces.portfolio import MEASURED_DEFAULT, portfolio, suited
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

_ELU_HE = {"activation": "elu", "initializer": "he_normal"}
_RELU_HE = {"activation": "relu", "initializer": "he_normal"}
_LEAKY_HE = {"activation": "leaky_relu", "initializer": "he_normal"}
_TANH_GLOROT = {"activation": "tanh", "initializer": "glorot_uniform"}

# RealMLP's small form without tuning, as its authors' package has it (Holzmüller et al. 2024,
# appendix A). Its rates are ten times those usual here: NTK's steps shrink with the layers' inputs.
_REALMLP = {
    **{"units": [256, 256, 256], "initializer": "lecun_normal", "preparation": "robust_clip"},
    **{"input_scale": "learned", "input_scale__rate_factor": 6.0, "parametrization": "ntk"},
    **{"bias": "normal", "bias_rate": 0.1, "head": "zeros", "schedule": "coslog"},
    **{"optimizer": "adam", "optimizer__beta_2": 0.95, "optimizer__epsilon": 1e-8},
    **{"batch_size": 256, "stopping": "none"},
}

REFERENCES: dict[str, Stack] = {
    # Chapter section 2: the default and its tweaks.
    "chapter-default": Stack.of(),
    "chapter-self-normalizing": Stack.of(dropout="last", dropout__rate=0.1),
    "chapter-not-self-normalizing": Stack.of(
        **_ELU_HE, normalization="before", connection="residual", units=[100, 100, 100]
    ),
    "chapter-sparse": Stack.of(penalty="l1", penalty__l1=1e-4, normalization="before", **_ELU_HE),
    "chapter-low-latency": Stack.of(**_LEAKY_HE, units=[100]),
    "chapter-risk-sensitive": Stack.of(dropout="all", dropout__rate=0.2),
    # Classics.
    "relu-he-bn-adam": Stack.of(
        **_RELU_HE, normalization="before", optimizer="adam", schedule="constant"
    ),
    # With momentum 0.9 the highest rate is a tenth of plain SGD's 0.05.
    "relu-he-sgd-1cycle": Stack.of(
        **{**_RELU_HE, "batch_size": 128, "schedule": "1cycle"},
        **{"optimizer": "momentum", "optimizer__learning_rate": 0.005},
    ),
    "elu-he-bn-nesterov": Stack.of(
        **_ELU_HE, normalization="before", optimizer="nesterov", schedule="exponential"
    ),
    "relu-he-bn-dropout-adamw": Stack.of(
        **_RELU_HE,
        **{"units": [512, 512, 512], "batch_size": 128, "normalization": "before"},
        **{"dropout": "all", "dropout__rate": 0.2, "optimizer": "adamw", "schedule": "linear"},
    ),
    "tanh-glorot-momentum": Stack.of(
        **_TANH_GLOROT, optimizer="momentum", schedule="constant", clipping="none"
    ),
    # The best of the recorded runs on many tables (docs/atlas.md).
    MEASURED_DEFAULT: portfolio("classification")[0][1],
    # The best dense networks without tuning.
    "realmlp-td-s": Stack.of(
        **_REALMLP, activation="selu", optimizer__learning_rate=0.04, label_smoothing=0.1
    ),
    # TabM-mini's defaults (Gorishniy et al. 2024, arXiv 2410.24210).
    "tabm-mini": Stack.of(
        **_RELU_HE,
        **{"units": [512, 512, 512], "dropout": "hidden", "dropout__rate": 0.1},
        **{"optimizer": "adamw", "optimizer__learning_rate": 0.002, "batch_size": 256},
        **{"optimizer__weight_decay": 3e-4, "schedule": "constant", "clipping": "none"},
        **{"stopping": "patience", "preparation": "quantile", "members": "shared"},
    ),
}

# Forms for regressions of references that have one of their own.
REGRESSION_FORMS: dict[str, Stack] = {
    MEASURED_DEFAULT: portfolio("regression")[0][1],
    "realmlp-td-s": Stack.of(**_REALMLP, activation="mish", optimizer__learning_rate=0.07),
}

CHAPTER_DEFAULT = REFERENCES["chapter-default"]

# The chapter's stacks with which a search starts whose space is the chapter's.
CLASSICS = (
    "relu-he-bn-adam",
    "elu-he-bn-nesterov",
    "relu-he-sgd-1cycle",
    "relu-he-bn-dropout-adamw",
    "tanh-glorot-momentum",
)


def reference(name: str, task: str) -> Stack:
    """Return a reference stack in its form for a task; raise KeyError if there is none."""
    forms = REGRESSION_FORMS if task == "regression" else {}
    return forms.get(name, REFERENCES[name])


def first_stacks(space: Space, task: str, rows: int, numbers: int) -> list[tuple[str, Stack]]:
    """Return the stacks with which a search starts, by name.

    First the chapter's default and the measured one, since every other is compared with them; then
    the stacks of the portfolio that the space offers, or the chapter's classics in a space that
    does not offer even the measured default.

    Args:
        space: The space.
        task: The data's task.
        rows: Number of training rows, which the portfolio's stacks suit.
        numbers: Features that are quantities, likewise.
    """
    suiting = ((name, suited(stack, rows, numbers)) for name, stack in portfolio(task))
    default, *others = suiting
    if space.offers(default[1]):
        others = [(name, stack) for name, stack in others if space.offers(stack)]
    else:
        others = [(name, REFERENCES[name]) for name in CLASSICS]
    return [("chapter-default", CHAPTER_DEFAULT), default, *others]


def network_stacks() -> list[tuple[str, Stack]]:
    """Return the stacks with which the search for a user's own network starts, by name.

    They are the chapter's default and its classics. Those of the portfolio are from studies of
    dense layers on tables.
    """
    classics = [(name, held(REFERENCES[name])) for name in CLASSICS]
    return [("chapter-default", CHAPTER_DEFAULT), *classics]


def read_stacks(document: Any, task: str, own: bool = False) -> tuple[Stack, ...]:
    """Read the document of `--stacks`: a stack, or a list of stacks or reference names.

    Args:
        document: The document.
        task: The data's task, for which some references have a form of their own.
        own: Whether the study has a network of its own, whose numbers a stack may hold.

    Raises:
        RequestError: The document is not a list, or an entry is wrong.
    """
    if isinstance(document, Mapping):  # one stack, as `export --format json` writes it
        document = [document]
    if not isinstance(document, list) or not document:
        raise RequestError(
            "the stacks file holds no list", "a stack, or a list of stacks or reference names"
        )
    return tuple(_stacks(document, task, own))


def _stacks(document: list[Any], task: str, own: bool) -> Iterable[Stack]:
    for place, entry in enumerate(document):
        if isinstance(entry, str):
            if entry not in REFERENCES:
                raise RequestError(
                    f"stacks[{place}] is {entry!r}", hint=nearest(entry, list(REFERENCES))
                )
            yield reference(entry, task)
            continue
        try:
            stack = Stack.from_json(entry)
            if not own:
                check_without_network(stack.to_json())
            yield stack
        except RequestError as error:
            raise RequestError(f"stacks[{place}]: {error}") from None
