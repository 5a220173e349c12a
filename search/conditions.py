"""Conditions: changes to a run of an experiment for claims that a stack cannot express.

A stack is valid by construction, and trained with all labels. Some claims are about
other cases, so a run of a designed experiment may have a condition beside its stack. Only rows of
`evidence.claims` create conditions; spaces and files of stacks cannot contain them, and workers
reject them in other runs. A condition is part of the run's identity.
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

ALL, EARLIER, LATER = "all", "earlier", "later"
AUTOENCODER, RELATED = "autoencoder", "related"

# Field → its allowed words.
_WORDS: dict[str, tuple[str, ...]] = {
    "initializer": ("", *INITIALIZERS),
    "classes": (ALL, EARLIER, LATER),
    "pretrained": ("", AUTOENCODER, RELATED),
}


@dataclass(frozen=True)
class Condition:
    """Changes to a run beside its stack; by default none.

    Attributes:
        initializer: Initializer of the hidden layers instead of the stack's, which need not suit
            the activation; empty: the stack's.
        classes: `all`, or one half of them in the order of their labels (`earlier` includes the
            middle one of an odd number): every part has only the rows of these classes.
        labels: Number of training rows with a label, as evenly over the classes as possible; the
            other rows remain for pretraining and for statistics of the inputs; 0: all.
        pretrained: Source of the lower hidden layers (all but the last): empty: fresh weights;
            `autoencoder`: reconstruction of all training inputs; `related`: classification of the
            other half of the classes. They are frozen at first (`FROZEN_SHARE`).

    >>> Condition(labels=50).description
    '50 labels'
    """

    initializer: str = ""
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
        """Return whether the condition changes anything."""
        return self != PLAIN

    @property
    def other_classes(self) -> str:
        """The half of the classes in the related task."""
        return EARLIER if self.classes == LATER else LATER

    @property
    def description(self) -> str:
        """The condition in words; empty if it changes nothing."""
        parts = {
            "initializer": f"{self.initializer} weights",
            "classes": f"the {self.classes} half of the classes",
            "labels": f"{self.labels} labels",
            "pretrained": f"lower layers of {'a' if self.pretrained == RELATED else 'an'} "
            + ("related task" if self.pretrained == RELATED else "autoencoder"),
        }
        return ", ".join(text for name, text in parts.items() if name in self.to_json())

    def identity(self, stack: Stack) -> str:
        """Return twelve hexadecimal digits that identify a stack under this condition.

        Without a condition they are the stack's own id.
        """
        if not self:
            return stack.stack_id
        text = f"{stack.stack_id} {json.dumps(self.to_json(), sort_keys=True)}"
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the fields that differ from the default."""
        return {k: v for k, v in asdict(self).items() if v and (k, v) != ("classes", ALL)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Condition:
        """Read a document written by `to_json`.

        Raises:
            RequestError: A key is unknown, or a value is not allowed.
        """
        known = cls.__dataclass_fields__
        if unknown := sorted(set(document) - set(known)):
            raise RequestError(f"condition.{unknown[0]} is not known", "one of " + ", ".join(known))
        return cls(**document)


PLAIN = Condition()
