"""A confirmation run that is wanted, and the seeds that make runs pairs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from trainstack.search.conditions import PLAIN, Condition
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class Planned:
    """A confirmation run that is still wanted."""

    stack: Stack
    label: str | None
    seed_index: int
    seed: int
    condition: Condition = PLAIN

    @property
    def stack_id(self) -> str:
        """What its runs are known by: the stack's id, under a condition one of both."""
        return self.condition.identity(self.stack)


def confirmation_seed(spec_seed: int, index: int) -> int:
    """Return the seed of the confirmation's `index`-th replicate, in [2^30, 2^31).

    The same for every stack (that is what makes the runs pairs), different for every index, and
    unrelated to the seeds that the search used.
    """
    digest = hashlib.blake2b(f"confirmation {spec_seed}".encode(), digest_size=8).digest()
    return 2**30 + (int.from_bytes(digest, "big") + index) % 2**30
