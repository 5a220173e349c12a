"""The space of a launch that names none."""

from __future__ import annotations

import pytest

from trainstack.search.cli.study_options import usual_space
from trainstack.spaces.profiles import PROFILES
from trainstack.spaces.space import space_names


@pytest.mark.parametrize(
    ("profile", "task", "network", "name"),
    [
        ("default", "classification", None, "chapter"),
        ("default", "multilabel", None, "chapter"),
        ("default", "regression", None, "modern"),
        ("default", "regression", "net.py:build", "chapter"),
        ("sparse", "regression", None, "sparse"),
        ("low-latency", "classification", None, "low-latency"),
    ],
)
def test_the_space_follows_the_profile_and_the_task(
    profile: str, task: str, network: str | None, name: str
) -> None:
    """A regression on dense layers is searched in `modern`, all else in the profile's space."""
    assert usual_space(profile, task, network).name == name


@pytest.mark.parametrize("profile", PROFILES)
def test_every_usual_space_exists(profile: str) -> None:
    """Each profile's spaces are named spaces."""
    named = {PROFILES[profile].space_for(task) for task in ("classification", "regression")}
    assert named <= set(space_names())
