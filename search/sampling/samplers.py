"""The table of samplers, which propose stacks."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainstack.spaces.errors import RequestError, nearest

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from trainstack.search.spec import StudySpec


@dataclass(frozen=True)
class SamplerRow:
    """A sampler.

    Attributes:
        about: Description with reference.
        build: `(spec, seed)` → Optuna's sampler; the seed differs between workers.
    """

    about: str
    build: Callable[[StudySpec, int], BaseSampler]


def startup_trials(trials: int) -> int:
    """Return the number of random trials before the model: a quarter of the budget, 5 to 10."""
    return max(5, min(10, trials // 4))


def _tpe(spec: StudySpec, seed: int, joint: bool) -> BaseSampler:
    from optuna.samplers import TPESampler

    startup = startup_trials(spec.trials)
    return TPESampler(
        multivariate=joint, group=joint, constant_liar=True, seed=seed, n_startup_trials=startup
    )


def _random(_: StudySpec, seed: int) -> BaseSampler:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


SAMPLERS: Mapping[str, SamplerRow] = {
    "tpe": SamplerRow(
        "tree-structured Parzen estimator, the parameters of an arm together (Watanabe 2023)",
        functools.partial(_tpe, joint=True),
    ),
    "tpe-independent": SamplerRow(
        "tree-structured Parzen estimator, each parameter by itself (Bergstra et al. 2011)",
        functools.partial(_tpe, joint=False),
    ),
    "random": SamplerRow("independent random draws (Bergstra and Bengio 2012)", _random),
}


def sampler(spec: StudySpec, seed: int) -> BaseSampler:
    """Build the sampler that a spec names.

    Raises:
        RequestError: There is no such sampler.
    """
    row = SAMPLERS.get(spec.sampler)
    if row is None:
        raise RequestError(
            f"sampler '{spec.sampler}' is not known", hint=nearest(spec.sampler, list(SAMPLERS))
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `group` is experimental in Optuna
        return row.build(spec, seed)
