"""The table of profiles: purposes of a stack, with their effect on search and choice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """A purpose of a stack.

    Attributes:
        name: Name of the profile.
        about: Description.
        space: The default space of a launch.
        regression_space: The same for the prediction of quantities; None: `space`.
        default: Name of the reference stack that the chapter recommends for it.
        spares: Figure of the confirmed runs that decides first between stacks that cannot be
            distinguished, lower being better; None: the departures from the chapter's default
            decide.
    """

    name: str
    about: str
    space: str
    default: str
    spares: str | None = None
    regression_space: str | None = None

    def space_for(self, task: str) -> str:
        """Return the default space for a task.

        >>> PROFILES["default"].space_for("regression")
        'modern'
        """
        return self.regression_space or self.space if task == "regression" else self.space


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        # Measured: docs/decisions/0107-the-default-space.md.
        Profile(
            "default",
            "the lowest validation loss",
            *("chapter", "chapter-default"),
            regression_space="modern",
        ),
        Profile(
            "self-normalizing",
            "networks that keep mean 0 and deviation 1 by themselves",
            *("self-normalizing", "chapter-self-normalizing"),
        ),
        Profile(
            "sparse",
            "few nonzero weights",
            *("sparse", "chapter-sparse"),
            spares="nonzero_fraction",
        ),
        Profile(
            "low-latency",
            "quick answers",
            *("low-latency", "chapter-low-latency"),
            spares="latency_ms",
        ),
        Profile(
            "risk-sensitive",
            "honest probabilities",
            *("risk-sensitive", "chapter-risk-sensitive"),
        ),
    )
}
