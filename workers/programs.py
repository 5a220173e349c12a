"""Compiled programs by structure: traced once, used by every trial of that structure."""

from __future__ import annotations

from collections.abc import Callable

from workers.engine import Program
from workers.structure import Structure


class Programs:
    """Compiled programs by structure, the least recently used dropped beyond `most`."""

    def __init__(self, most: int = 32) -> None:
        self.most = most
        self._programs: dict[Structure, Program] = {}

    def get(self, structure: Structure, make: Callable[[], Program]) -> tuple[Program, bool]:
        """Return the program of a structure and whether it was there already."""
        known = structure in self._programs
        program = self._programs.pop(structure) if known else make()
        self._programs[structure] = program
        while len(self._programs) > self.most:
            del self._programs[next(iter(self._programs))]
        return program, known

    def __contains__(self, structure: Structure) -> bool:
        return structure in self._programs
