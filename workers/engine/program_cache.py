"""Compiled programs by structure, traced once and used by every trial of that structure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from trainstack.workers.engine.memory import forget_dropped_graphs
from trainstack.workers.engine.structure import Structure


class _Traced(Protocol):
    """A program, or a bundle of networks."""

    @property
    def hidden(self) -> list[Any]: ...


T = TypeVar("T", bound=_Traced)

# Number of programs kept: more than a confirmation's race alternates between.
MOST = 8
# Number of dropped programs after which their memory is released. Releasing costs a tenth of a
# second when a kept program runs next.
MOST_DROPPED = 4
# XLA never releases a compiled program, some 5 MB per layer: after this many compiled layers a
# trainer is replaced between two trials.
MOST_COMPILED_LAYERS = 100
# Each traced program also leaves a quarter of a MB behind.
MOST_BUILT = 100


class Programs:
    """Compiled programs by structure, the least recently used dropped beyond `most`."""

    def __init__(self, most: int = MOST, most_dropped: int = MOST_DROPPED) -> None:
        self.most, self.most_dropped = most, most_dropped
        self._programs: dict[Structure, Any] = {}
        self._dropped = self._compiled_layers = self._built = 0

    def get(self, structure: Structure, make: Callable[[], T]) -> tuple[T, bool]:
        """Return the program, or bundle, of a structure, and whether it already existed."""
        known = structure in self._programs
        if not known:
            self._make_room()
        program = self._programs.pop(structure) if known else make()
        if not known:
            self._built += 1
            self._compiled_layers += len(program.hidden) if structure.compiled else 0
        self._programs[structure] = program
        return program, known

    def _make_room(self) -> None:
        while len(self._programs) >= self.most:
            del self._programs[next(iter(self._programs))]
            self._dropped += 1
        if self._dropped >= self.most_dropped:
            forget_dropped_graphs()
            self._dropped = 0

    @property
    def worn(self) -> bool:
        """True when enough has been built that the process should be replaced."""
        return self._compiled_layers >= MOST_COMPILED_LAYERS or self._built >= MOST_BUILT

    def __contains__(self, structure: Structure) -> bool:
        return structure in self._programs
