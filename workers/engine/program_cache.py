"""Compiled programs by structure: traced once, used by every trial of that structure."""

from __future__ import annotations

from collections.abc import Callable

from trainstack.workers.engine.memory import forget_dropped_graphs
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import Structure

# Programs kept: more than a confirmation's race goes back and forth between.
MOST = 8
# The memory of dropped programs is taken back when there are so many of them: it costs a tenth of a
# second where a kept program is run again.
MOST_DROPPED = 2
# XLA never gives a compiled program back, some 5 MB a layer: a trainer that has compiled so many
# layers is replaced by a fresh one between two trials.
MOST_COMPILED_LAYERS = 100
# Of each program that was traced something stays, too, a quarter of a MB.
MOST_BUILT = 100


class Programs:
    """Compiled programs by structure, the least recently used dropped beyond `most`."""

    def __init__(self, most: int = MOST, most_dropped: int = MOST_DROPPED) -> None:
        self.most, self.most_dropped = most, most_dropped
        self._programs: dict[Structure, Program] = {}
        self._dropped = self._compiled_layers = self._built = 0

    def get(self, structure: Structure, make: Callable[[], Program]) -> tuple[Program, bool]:
        """Return the program of a structure and whether it was there already."""
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
        """True when so much has been built that the process should make way for a fresh one."""
        return self._compiled_layers >= MOST_COMPILED_LAYERS or self._built >= MOST_BUILT

    def __contains__(self, structure: Structure) -> bool:
        return structure in self._programs
