"""trainstack: which stack of training choices to use on your data, and how sure that is.

`launch` searches data and recommends a stack, `open_study` and `studies` return studies that exist,
and `StackClassifier` and `StackRegressor` are estimators for scikit-learn. `Space`, `Range` and
`Stack` say what may be tried. Each name is imported when it is first used, so that
`import trainstack` itself takes no time.

    >>> import trainstack
    >>> stack = trainstack.Stack.of(activation="relu", optimizer="adam")
    >>> stack["initializer"], stack["optimizer.learning_rate"]
    ('he_normal', 0.001)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainstack.search.python.estimators import StackClassifier as StackClassifier
    from trainstack.search.python.estimators import StackRegressor as StackRegressor
    from trainstack.search.python.launching import launch as launch
    from trainstack.search.python.study import Study as Study
    from trainstack.search.python.study import open_study as open_study
    from trainstack.search.python.study import studies as studies
    from trainstack.spaces.domains import Range as Range
    from trainstack.spaces.errors import TrainstackError as TrainstackError
    from trainstack.spaces.space import Space as Space
    from trainstack.spaces.stack import Stack as Stack

_HOMES = {
    "Range": "trainstack.spaces.domains",
    "Space": "trainstack.spaces.space",
    "Stack": "trainstack.spaces.stack",
    "StackClassifier": "trainstack.search.python.estimators",
    "StackRegressor": "trainstack.search.python.estimators",
    "Study": "trainstack.search.python.study",
    "TrainstackError": "trainstack.spaces.errors",
    "launch": "trainstack.search.python.launching",
    "open_study": "trainstack.search.python.study",
    "studies": "trainstack.search.python.study",
}
__all__ = [
    "Range",
    "Space",
    "Stack",
    "StackClassifier",
    "StackRegressor",
    "Study",
    "TrainstackError",
    "launch",
    "open_study",
    "studies",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("trainstack")
    if name not in _HOMES:
        raise AttributeError(f"module 'trainstack' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
