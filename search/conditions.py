"""Conditions: what an experiment for claims does to a run that no stack can say.

A stack stays valid by construction, its inputs standardised, its labels all there. Some claims are
about what happens otherwise, so a run of a designed experiment may carry a condition beside its
stack. Only a row of `evidence.claims` makes one; no space draws it, no file of stacks holds it, and
workers refuse it in anything but such a run. It is part of the run's identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trainstack.spaces.errors import RequestError
from trainstack.spaces.initializers import INITIALIZERS
from trainstack.spaces.stack import Stack

STANDARDISED, UNIT = "standardised", "unit"
ALL, EARLIER, LATER = "all", "earlier", "later"
AUTOENCODER, RELATED = "autoencoder", "related"

# Field → what it may be, where that is a word.
_WORDS: dict[str, tuple[str, ...]] = {
    "initializer": ("", *INITIALIZERS),
    "inputs": (STANDARDISED, UNIT),
    "classes": (ALL, EARLIER, LATER),
    "pretrained": ("", AUTOENCODER, RELATED),
}


@dataclass(frozen=True)
class Condition:
    """What is done to a run beside its stack; by default nothing.

    Attributes:
        initializer: Of the hidden layers in place of the stack's own, which the activation need
            not go with; empty: the stack's own.
        inputs: `standardised`, or `unit`: each feature's training range to 0..1.
        classes: `all`, or one half of them, in the order of their labels (`earlier` has the odd one
            out): only these classes' rows are there, in every part.
        labels: Training rows whose label is known, as evenly over the classes as can be; the
            others' inputs stay for pretraining and for statistics of the inputs; 0: all.
        pretrained: Where the lower hidden layers (all but the last) come from: empty: fresh
            weights; `autoencoder`: from reconstructing all training inputs; `related`: from
            classifying the other half of the classes. They are frozen at first (`FROZEN_SHARE`).

    >>> Condition(inputs="unit").said
    'inputs scaled to 0..1'
    """

    initializer: str = ""
    inputs: str = STANDARDISED
    classes: str = ALL
    labels: int = 0
    pretrained: str = ""

    def __post_init__(self) -> None:
        for name, words in _WORDS.items():
            if (got := getattr(self, name)) not in words:
                raise RequestError(f"condition.{name} is {got!r}", "one of " + ", ".join(words))
        if type(self.labels) is not int or self.labels < 0:
            raise RequestError(f"condition.labels is {self.labels!r}", "a whole number, 0 or more")
        if self.pretrained == RELATED and self.classes == ALL:
            raise RequestError("condition.pretrained is 'related' with all classes", "a half")

    def __bool__(self) -> bool:
        """True where anything is done."""
        return self != PLAIN

    @property
    def other_classes(self) -> str:
        """The half of the classes that a related task has."""
        return EARLIER if self.classes == LATER else LATER

    @property
    def said(self) -> str:
        """The condition in words; empty where nothing is done."""
        parts = {
            "initializer": f"{self.initializer} weights",
            "inputs": "inputs scaled to 0..1",
            "classes": f"the {self.classes} half of the classes",
            "labels": f"{self.labels} labels",
            "pretrained": f"lower layers of {'a' if self.pretrained == RELATED else 'an'} "
            + ("related task" if self.pretrained == RELATED else "autoencoder"),
        }
        return ", ".join(text for name, text in parts.items() if name in self.to_json())

    def identity(self, stack: Stack) -> str:
        """Return twelve hexadecimal digits that equal stacks under equal conditions share.

        Without a condition they are the stack's own.
        """
        if not self:
            return stack.stack_id
        text = f"{stack.stack_id} {json.dumps(self.to_json(), sort_keys=True)}"
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return what differs from doing nothing."""
        nothing = {"inputs": STANDARDISED, "classes": ALL}
        return {k: v for k, v in asdict(self).items() if v and v != nothing.get(k)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Condition:
        """Read what `to_json` gave.

        Raises:
            RequestError: A key is unknown, or a value is none of those that it may be.
        """
        known = cls.__dataclass_fields__
        if unknown := sorted(set(document) - set(known)):
            raise RequestError(f"condition.{unknown[0]} is not known", "one of " + ", ".join(known))
        return cls(**document)


PLAIN = Condition()
