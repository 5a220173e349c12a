"""Whether a history of operations that overlapped could come from operations one at a time.

The search of Wing and Gong, "Testing and verifying concurrent objects", Journal of Parallel and
Distributed Computing 17 (1993), with the memory of Lowe, "Testing for linearizability",
Concurrency and Computation 29 (2017). A history of several objects is possible if that of each is
(Herlihy and Wing, "Linearizability", TOPLAS 12 (1990)), so each is searched for itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True)
class Operation:
    """An operation as its caller saw it.

    Attributes:
        name: What was asked for.
        given: Its arguments.
        reply: Its answer; None: it was lost.
        begin: When it was asked for, in seconds.
        end: When it was answered; infinite if the answer was lost: it takes effect at some time
            after its beginning, or never.
    """

    name: str
    given: Any = None
    reply: Any = None
    begin: float = 0.0
    end: float = math.inf


def is_possible(
    operations: Iterable[Operation],
    start: S,
    step: Callable[[S, Operation], Sequence[S]],
) -> bool:
    """Return whether operations one at a time could give the same answers.

    Args:
        operations: The history of one object.
        start: The object's state before it.
        step: The states in which an operation may leave the object, if it is answered as it was;
            empty: it cannot be answered so.
    """
    history = sorted(operations, key=lambda operation: operation.begin)
    answered = sum(1 << k for k, op in enumerate(history) if op.end < math.inf)
    waiting, seen = [(0, start)], {(0, start)}
    while waiting:
        placed, state = waiting.pop()
        if placed & answered == answered:
            return True
        left = [(k, op) for k, op in enumerate(history) if not placed >> k & 1]
        # What began after another's answer comes after it.
        until = min(op.end for _, op in left)
        for k, op in left:
            if op.begin > until:
                break
            for after in step(state, op):
                found = placed | 1 << k, after
                # A lost operation that changes nothing need not be placed.
                if found not in seen and (op.end < math.inf or after != state):
                    seen.add(found)
                    waiting.append(found)
    return False
