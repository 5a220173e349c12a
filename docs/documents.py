"""The table of JSON documents: the fields that each verb prints with `--json`.

The reference page is generated from it, and a test compares it with real output in both directions.
The fields are those of the records of which a document is made; in a path a dot enters an object
and `[]` a list.
"""

from __future__ import annotations

from docs.fields import ANY, TEXT, Document, Field
from docs.records import rows
from trainstack.search.claims.findings import Findings
from trainstack.search.cli.creation import Detached
from trainstack.search.cli.doctor import Finding
from trainstack.search.cli.predict import Predictions
from trainstack.search.cli.recommend import ReportFiles
from trainstack.search.cli.space import NamedSpace, SpaceCheck
from trainstack.search.conclusion.across_records import Across
from trainstack.search.conclusion.recommendation import Recommendation
from trainstack.search.data.summary import DataSummary
from trainstack.search.lr_range_test import RangeTest
from trainstack.search.preview_record import Preview
from trainstack.search.queue.status import StudyStatus, WorkerStatus
from trainstack.search.queue.study_log import StudyLog
from trainstack.search.queue.trial_record import TrialRecord
from trainstack.search.replay_record import Replay

DOCUMENTS: tuple[Document, ...] = (
    Document(
        ("data",),
        "How data is read, before anything is trained.",
        rows(DataSummary),
    ),
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
    Document(
        ("launch", "recommend", "confirm"), "The conclusion of a study.", rows(Recommendation)
    ),
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
    Document(("launch --detach",), "The study that was created.", rows(Detached)),
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
    Document(("report",), "The files written.", rows(ReportFiles)),
    Document(("predict",), "Predictions for new rows.", rows(Predictions)),
    Document(("replay",), "A trial trained again, compared with its record.", rows(Replay)),
    Document(("range-test",), "One row per optimizer.", rows(RangeTest, "[]")),
    Document(("space list",), "The named spaces.", rows(NamedSpace, "[]")),
    Document(
        ("space show",),
        "A space as `launch --space` reads it, with and without `--json`.",
        (
            Field("name", TEXT, "Its name."),
            Field("about", TEXT, "What it is for."),
            Field("cost", TEXT, "What a search of it takes."),
            Field("axes", ANY, "Choices of each axis; see the how-to on a space of your own."),
        ),
    ),
    Document(
        ("space check",),
        "Whether a space can be searched; exit code 2 if not.",
        rows(SpaceCheck),
    ),
    Document(("doctor",), "The state of this machine.", rows(Finding, "[]")),
)
