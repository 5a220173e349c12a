"""Compiled programs by structure: traced once, used by every trial of that structure."""

from __future__ import annotations

from collections.abc import Callable

from workers.engine import Program
from workers.structure import Structure

# TensorFlow gives little of a traced graph's memory back: some 7 MB a program of a few layers. A
# trainer that has built so many layers is replaced by a fresh one between two trials.
MOST_BUILT_LAYERS = 100


class Programs:
    """Compiled programs by structure, the least recently used dropped beyond `most`."""

    def __init__(self, most: int = 32) -> None:
        self.most = most
        self._programs: dict[Structure, Program] = {}
        self._built_layers = 0

    def get(self, structure: Structure, make: Callable[[], Program]) -> tuple[Program, bool]:
        """Return the program of a structure and whether it was there already."""
        known = structure in self._programs
        program = self._programs.pop(structure) if known else make()
        self._built_layers += 0 if known else len(program.hidden)
        self._programs[structure] = program
        while len(self._programs) > self.most:
            del self._programs[next(iter(self._programs))]
        return program, known

    @property
    def worn(self) -> bool:
        """True when so many layers have been built that the process should make way."""
        return self._built_layers >= MOST_BUILT_LAYERS

    def __contains__(self, structure: Structure) -> bool:
        return structure in self._programs
