"""Folder names of studies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trainstack.search.artifact_names import folder_of

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


@given(NAMES, NAMES)
def test_any_name_has_a_folder_of_its_own(one: str, other: str) -> None:
    """Every study name gives a distinct path component of legal length."""
    folder = folder_of(one)
    assert 0 < len(folder.encode()) <= 143
    assert "/" not in folder
    assert (folder == folder_of(other)) == (one == other)
