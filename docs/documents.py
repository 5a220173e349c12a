"""The table of JSON documents: the fields that each verb prints with `--json`.

The reference page is generated from it, and a test compares it with real output in both directions.
A document that is made of records has the rows of their fields. To add a field to another one, add
a row; in a path a dot enters an object and `[]` a list.
"""

from __future__ import annotations

from docs.fields import (
    FLAG,
    LIST,
    NUMBER,
    NUMBERS,
    OBJECT,
    OR_NULL,
    STACK,
    TEXT,
    WHOLE,
    Document,
    Field,
)
from docs.records import rows
from trainstack.search.claims.findings import Findings
from trainstack.search.conclusion.across_studies import Across
from trainstack.search.conclusion.recommendation import Recommendation
from trainstack.search.preview_record import Preview
from trainstack.search.queue.status import StudyStatus, WorkerStatus
from trainstack.search.queue.study_log import StudyLog
from trainstack.search.queue.trial_record import TrialRecord

DOCUMENTS: tuple[Document, ...] = (
    Document(
        ("status", "watch"),
        "The state of a study; without a name, a list of these.",
        rows(StudyStatus),
    ),
    Document(
        ("trials",),
        "The search's trials in order; with `--confirmation` the confirmation's runs.",
        rows(TrialRecord, "[]"),
    ),
    Document(("launch", "recommend"), "The conclusion of a study.", rows(Recommendation)),
    Document(
        ("recommend --across",),
        "The default that serves the data of several studies.",
        rows(Across),
    ),
    Document(
        ("launch --preview",),
        "The stacks that a launch would train; exit code 2 if something cannot be trained.",
        rows(Preview),
    ),
    Document(("claims",), "The designed experiment's result for each claim.", rows(Findings)),
    Document(
        ("workers",),
        "The workers of a study, as in `status`.",
        rows(WorkerStatus, "[]"),
    ),
    Document(
        ("logs",),
        "The events of a study.",
        rows(StudyLog),
    ),
    Document(
        ("report",),
        "The files written.",
        (
            Field("study", TEXT, "its name"),
            Field("files", LIST, ""),
            Field("files[]", TEXT, "paths"),
        ),
    ),
    Document(
        ("replay",),
        "A trial trained again, compared with its record.",
        (
            Field("study", TEXT, "its name"),
            Field("trial", WHOLE, "its number"),
            Field("kind", TEXT, "`search` or `confirmation`"),
            Field("stack", STACK, ""),
            Field("stack_id", TEXT, ""),
            Field("seed", WHOLE, ""),
            Field("threads", WHOLE, "0: all cores"),
            Field("cached_of", WHOLE + OR_NULL, "trial whose result this is, if equal stacks"),
            Field("tolerance", NUMBER, "relative difference that counts as the same"),
            Field("same", FLAG, "equal lengths, all differences within the tolerance"),
            Field("exact", FLAG, "equal to the last digit"),
            Field("epochs", WHOLE, "number of epochs that both have"),
            Field("difference", NUMBER + OR_NULL, "largest relative difference"),
            Field("differs_at", WHOLE + OR_NULL, "first epoch that differs"),
            Field("recorded", OBJECT, ""),
            Field("recorded.outcome", TEXT, ""),
            Field("recorded.curve", LIST, "validation loss per epoch"),
            Field("recorded.curve[]", NUMBER + OR_NULL, ""),
            Field("recorded.device", TEXT, ""),
            Field("again", OBJECT, ""),
            Field("again.device", TEXT, ""),
            Field("again.outcome", TEXT, ""),
            Field("again.cause", TEXT + OR_NULL, ""),
            Field("again.curve", LIST, ""),
            Field("again.curve[]", NUMBER + OR_NULL, ""),
            Field("again.seconds", NUMBERS, ""),
        ),
    ),
    Document(
        ("range-test",),
        "One row per optimizer.",
        (
            Field("[].optimizer", TEXT, ""),
            Field("[].rates", LIST, "learning rates tried, rising"),
            Field("[].rates[]", NUMBER, ""),
            Field("[].losses", LIST, "validation loss at each"),
            Field("[].losses[]", NUMBER + OR_NULL, ""),
            Field("[].stable", NUMBER + OR_NULL, "largest stable rate of the descent"),
            Field("[].low", NUMBER, "lowest rate worth searching"),
            Field("[].high", NUMBER, "highest"),
        ),
    ),
    Document(
        ("space list",),
        "The named spaces.",
        (
            Field("[].name", TEXT, ""),
            Field("[].about", TEXT, ""),
            Field("[].cost", TEXT, ""),
        ),
    ),
    Document(
        ("space check",),
        "Whether a space can be searched; exit code 2 if not.",
        (
            Field("file", TEXT, ""),
            Field("problems", LIST, "empty: it is valid"),
            Field("problems[]", TEXT, "a problem with its path"),
        ),
    ),
    Document(
        ("doctor",),
        "The state of this machine.",
        (
            Field("[].what", TEXT, ""),
            Field("[].ok", FLAG, ""),
            Field("[].found", TEXT, ""),
            Field("[].fix", TEXT, "empty: nothing is missing"),
        ),
    ),
)
