"""What the inputs of a network are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Inputs:
    """The features of a network's input, in their order.

    Attributes:
        numbers: Features that are quantities; they come first.
        others: Features that are 0 or 1 before they are prepared: indicators of missing values,
            and categories as one-hot.
    """

    numbers: int
    others: int = 0

    @property
    def width(self) -> int:
        """Number of features."""
        return self.numbers + self.others
