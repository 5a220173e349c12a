"""The errors of the package, classified by the caller's reaction.

    TrainstackError
    ├── RequestError        the request is wrong: print one line, exit 2
    ├── StorageAwayError    the database does not answer: retry with back-off, then exit 3
    ├── StudyError          no such study, or another spec under its name: exit 4
    └── NothingToRecommend  the study ended without a finished trial: exit 5

Pruned, diverged, infeasible and interrupted trials are outcomes, not errors.
"""

from __future__ import annotations


class TrainstackError(Exception):
    """An error with a one-line message.

    Attributes:
        problem: The actual value, and what is wrong with it.
        expected: The expected value; "" if obvious.
        hint: Suggested action, or "".
    """

    exit_code = 1

    def __init__(self, problem: str, expected: str = "", hint: str = "") -> None:
        self.problem, self.expected, self.hint = problem, expected, hint
        parts = [problem]
        if expected:
            parts.append(f"expected {expected}")
        if hint:
            parts.append(hint)
        super().__init__("; ".join(part.strip() for part in parts))


class RequestError(TrainstackError):
    """The request is wrong; nothing was started or created."""

    exit_code = 2


class StorageAwayError(TrainstackError):
    """The database, or the engine that places workers, does not answer."""

    exit_code = 3


class StudyError(TrainstackError):
    """There is no such study, or one of that name was launched with another request."""

    exit_code = 4


class NothingToRecommend(TrainstackError):  # noqa: N818 - an ending, not a fault
    """The study ended without a trial that could be recommended."""

    exit_code = 5


def of_exit_code(code: int, message: str) -> TrainstackError:
    """Return the error for the exit code of one of the package's processes.

    >>> of_exit_code(3, "no answer").exit_code
    3
    """
    named = (RequestError, StorageAwayError, StudyError, NothingToRecommend)
    kinds = {kind.exit_code: kind for kind in named}
    return kinds.get(code, TrainstackError)(message)


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Return "did you mean …" for a misspelt name, or the list of known names.

    >>> nearest("digit", ["digits", "wine"])
    "did you mean 'digits'?"
    """
    return suggestion(name, known) or "known: " + ", ".join(sorted(known))


def suggestion(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Return "did you mean …" for a misspelt name; empty if no known name is near.

    >>> suggestion("digit", ["digits", "wine"]), suggestion("", ["digits", "wine"])
    ("did you mean 'digits'?", '')
    """
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""
