"""Exit codes and messages of the command as errors of a program."""

from __future__ import annotations

import pytest

from trainstack.search.python.running import _failure


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (2, "RequestError"),
        (3, "StorageAwayError"),
        (4, "StudyError"),
        (5, "NothingToRecommend"),
        (1, "TrainstackError"),
        (130, "TrainstackError"),
        (-9, "TrainstackError"),
    ],
)
def test_an_exit_code_is_an_error(code: int, kind: str) -> None:
    """Each exit code gives the error that it stands for."""
    assert type(_failure(code, "a line")).__name__ == kind


def test_flags_are_keywords_in_messages() -> None:
    """A message names keywords; a command in it stays as it is typed."""
    error = _failure(2, "--target-transform x; give --folds 1, or see `trainstack launch --help`")
    assert str(error) == "target_transform x; give folds 1, or see `trainstack launch --help`"
