"""Sentences about how a study was run that a reader of its conclusion needs."""

from __future__ import annotations

from collections.abc import Sequence

from trainstack.search.spec import StudySpec


def about_study(spec: StudySpec, earlier: Sequence[str]) -> tuple[str, ...]:
    """Return the sentences that apply.

    Args:
        spec: Spec of the study.
        earlier: Names of the studies whose recommended stacks were among the first trials.
    """
    return (*_scoring(spec), *_void(spec), *_warmed(earlier))


def _scoring(spec: StudySpec) -> tuple[str, ...]:
    """Return a sentence about folds; none without."""
    if spec.folds == 1:
        return ()
    return (
        f"A search trial was scored by {spec.scored}; each confirmation run trains and validates "
        "on one fold, the same for every stack of a pair.",
    )


def _void(spec: StudySpec) -> tuple[str, ...]:
    """Return a sentence about what voids self-normalization; none for a chain of dense layers."""
    if not spec.voids:
        return ()
    return (f"The network has {spec.voids}, so no stack of it can be self-normalizing.",)


def _warmed(earlier: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence about first trials from earlier studies; none without."""
    if not earlier:
        return ()
    return (f"The first trials include what earlier studies recommend: {', '.join(earlier)}.",)
