"""What the inputs of a network are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise


@dataclass(frozen=True)
class Inputs:
    """The features of a network's input, in their order.

    Attributes:
        numbers: Features that are quantities; they come first.
        others: Features that are 0 or 1 before they are prepared: indicators of missing values,
            and categories as one-hot.
        categories: Number of features of each categorical column; these come last.
    """

    numbers: int
    others: int = 0
    categories: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """Number of features."""
        return self.numbers + self.others

    def columns(self, levels: int) -> list[tuple[int, int]]:
        """Return the first feature, and the one after the last, of the columns of many categories.

        Args:
            levels: Such a column has more features than this.
        """
        first = self.width - sum(self.categories)
        ends = accumulate(self.categories, initial=first)
        return [(a, b) for a, b in pairwise(ends) if b - a > levels]
