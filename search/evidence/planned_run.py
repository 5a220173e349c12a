"""Planned confirmation runs and their paired seeds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from trainstack.search.conditions import PLAIN, Condition
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class Planned:
    """A confirmation run to train."""

    stack: Stack
    label: str | None
    seed_index: int
    seed: int
    condition: Condition = PLAIN

    @property
    def stack_id(self) -> str:
        """Key of the run: the stack's id, or an id of stack and condition."""
        return self.condition.identity(self.stack)


def confirmation_seed(spec_seed: int, index: int) -> int:
    """Return the seed of the confirmation's `index`-th replicate, in [2^30, 2^31).

    It is the same for every stack (which makes the runs pairs), differs for every index, and is
    unrelated to the search's seeds.
    """
    digest = hashlib.blake2b(f"confirmation {spec_seed}".encode(), digest_size=8).digest()
    return 2**30 + (int.from_bytes(digest, "big") + index) % 2**30
