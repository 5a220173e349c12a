"""The reference of what `import trainstack` offers, from its signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from typing import Any

import trainstack
from docs.markdown import code, page, table
from trainstack.search.python import estimators
from trainstack.search.python.options import keywords
from trainstack.spaces import errors

# What a page of reference shows of each class: the methods that are for users.
FUNCTIONS = ("open_study", "studies")
METHODS: dict[str, tuple[str, ...]] = {
    "Study": (
        *("status", "concluded", "trials", "runs", "recommendation", "conclude", "watch"),
        *("report", "export"),
        *("predict", "predict_proba", "pause", "resume", "stop", "cancel", "void", "delete"),
    ),
    "StackEstimator": (),
    "StackClassifier": ("fit", "predict", "predict_proba"),
    "StackRegressor": ("fit", "predict"),
    "Space": ("named", "of", "with_axis", "read", "from_json", "to_json"),
    "Stack": ("of", "to_keywords", "but", "from_json", "to_json"),
    "Range": (),
}
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises):$", re.M)
_ENTRY = re.compile(r"^    (\*{0,2}\w+): ", re.M)
_TITLES = {"Args": "Arguments", "Attributes": "Attributes", "Raises": "Errors"}


def python_page() -> str:
    """Return the reference of the Python interface."""
    first = {}  # keyword of each option; a second one is its opposite
    for name, option in keywords("launch").items():
        first.setdefault(option, name)
    options = [(code(name), option.help) for option, name in first.items()]
    return page(
        "The Python interface",
        "Everything here is imported from `trainstack`. For a first walk through it see "
        "[From a data frame to a model](../from-python.md).",
        _part("launch", trainstack.launch, 2),
        "### Options of `launch`",
        "`True` and `False` turn a flag on and off; `no_yardstick=True` is `yardstick=False`.",
        table(("keyword", "meaning"), options),
        *(_part(name, getattr(trainstack, name), 2) for name in FUNCTIONS),
        *(_class(name, methods) for name, methods in METHODS.items()),
        "## Errors",
        "All are subclasses of `trainstack.TrainstackError`. The others are imported from "
        "`trainstack.spaces.errors`.",
        table(("error", "meaning"), [_error(kind) for kind in _kinds()]),
    )


def _kinds() -> list[type[errors.TrainstackError]]:
    return [errors.TrainstackError, *errors.TrainstackError.__subclasses__()]


def _error(kind: type[errors.TrainstackError]) -> tuple[str, str]:
    return code(kind.__name__), (inspect.getdoc(kind) or "").split("\n")[0]


def _class(name: str, methods: tuple[str, ...]) -> str:
    kind = getattr(trainstack, name, None) or getattr(estimators, name)
    parts = [_part(name, kind, 2)]
    for method in methods:
        found = getattr(kind, method)
        parts.append(_part(method, found, 3))
    return "\n\n".join(parts)


def _part(name: str, thing: Any, level: int) -> str:
    """Return the section of a function, a class, a method or a property."""
    heading = f"{'#' * level} `{name}`"
    signature = "" if isinstance(thing, property) else _signature(thing)
    return "\n\n".join((heading, f"```text\n{name}{signature}\n```", described(thing)))


def _signature(thing: Any) -> str:
    """Return the parameters with their defaults, without types, which the text gives."""
    found = inspect.signature(thing)
    bare = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in found.parameters.values()
        if p.name != "self"
    ]
    return str(inspect.Signature(bare))


def described(thing: Any) -> str:
    """Return a docstring in Google's form as Markdown: its text, and a list for each section."""
    intro, *parts = _SECTION.split(inspect.getdoc(thing) or "")
    found = [_paragraph(text) for text in intro.strip().split("\n\n")]
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        if title == "Returns":
            found.append(f"Returns: {_line(body)}")
            continue
        _, *entries = _ENTRY.split(body.rstrip())
        rows = zip(entries[::2], entries[1::2], strict=True)
        listed = "\n".join(f"- {code(name)}: {_line(about)}" for name, about in rows)
        found.append(f"{_TITLES[title]}:\n\n{listed}")
    return "\n\n".join(found)


def _paragraph(text: str) -> str:
    if text.startswith(">>>"):
        return f"```pycon\n{text}\n```"
    if text.startswith("    "):  # an example that takes long, and is not run
        return f"```python\n{inspect.cleandoc(text)}\n```"
    return _line(text)


def _line(text: str) -> str:
    return " ".join(text.split())
