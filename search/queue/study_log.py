"""The records of a study's history, as `logs --json` prints it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainstack.search.records import TaskKind


@dataclass(frozen=True)
class StudyEvent:
    """An event of a study.

    Attributes:
        id: Rising.
        at: Time, ISO 8601.
        kind: Kind of event.
        trial: The trial concerned, if any.
        phase: Phase of that trial.
        message: Text of the event, or empty.
    """

    id: int
    at: str
    kind: str
    trial: int | None
    phase: TaskKind | None
    message: str


@dataclass(frozen=True)
class Attempt:
    """An attempt at a trial.

    Attributes:
        attempt: Its number, from 1.
        started: Time, ISO 8601.
        ended: Time, ISO 8601; null: running.
        ending: How it ended; null: running.
        cause: Reason for the ending, if known.
    """

    attempt: int
    started: str
    ended: str | None
    ending: str | None
    cause: str | None


@dataclass(frozen=True)
class StudyLog:
    """The events of a study, and the logs of its workers on this machine.

    Attributes:
        study: Its name.
        events: Oldest first.
        attempts: Attempts of the requested trial.
        files: Path → last lines of this machine's worker logs.
    """

    study: str
    events: Sequence[StudyEvent]
    attempts: Sequence[Attempt]
    files: Mapping[str, Sequence[str]]
