"""A study as an object: what the verbs of the command do, by methods."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.search.python.options import as_words
from trainstack.search.python.progress import Progress, view_of
from trainstack.search.python.running import run
from trainstack.spaces.errors import RequestError, StudyError

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import URL, Engine

    from trainstack.search.python.recommended import Recommended
    from trainstack.search.queue.status import StudyStatus
    from trainstack.search.studies.conclusion import Conclusion


@dataclass(frozen=True, repr=False)
class Study:
    """A study in a database; made by `launch`, `open_study` or `studies`.

    Attributes:
        name: Its name.
        url: Its database.
    """

    name: str
    url: URL

    def __repr__(self) -> str:
        return f"Study({self.name!r})"

    def status(self) -> StudyStatus:
        """Return counts, best trial so far, workers, budget and remaining time.

        Raises:
            StudyError: There is no such study.
        """
        from trainstack.search.queue import queries

        with self._engine() as here:
            return queries.status(here, self.name)

    @property
    def concluded(self) -> bool:
        """True if the study exists and is concluded."""
        with contextlib.suppress(StudyError):
            return self.status().concluded
        return False

    def trials(self) -> pd.DataFrame:
        """Return the search's trials, one per row, with the fields of `trials --json`.

        A number of a nested object has a column named by its path, such as `metrics.accuracy` or
        `stack.optimizer.learning_rate`; it is missing where a stack has no such number.
        """
        from trainstack.search.records import SEARCH

        return self._frame(SEARCH)

    def runs(self) -> pd.DataFrame:
        """Return the runs of the confirmation, one per row, with the columns of `trials`."""
        from trainstack.search.records import CONFIRMATION

        return self._frame(CONFIRMATION)

    @property
    def recommendation(self) -> Recommended:
        """The recommendation: the fields of `recommend --json`; `str` gives its text.

        Raises:
            RequestError: The study is not concluded.
            NothingToRecommend: No trial finished.
        """
        from trainstack.search.python.recommended import Recommended

        return Recommended.of(self._conclusion())

    def conclude(self, progress: bool | None = None) -> Recommended:
        """Confirm the candidates if necessary, with workers on this machine, and recommend.

        If the study is still searching but has no workers, its search ends first.

        Args:
            progress: As for `launch`.

        Raises:
            RequestError: Workers are still searching.
        """
        shown = Progress.chosen(progress, self.name, self.url)
        try:
            run(["recommend", "--", self.name], self._storage, shown.say, shown.tick)
        finally:
            shown.close()
        return self.recommendation

    def watch(self) -> None:
        """Show the study until it is over, in a notebook redrawn in place, else as lines.

        Ctrl-C ends the view; the study continues.
        """
        from trainstack.search.cli.live_view import line_of
        from trainstack.search.cli.polling import Polling, when_changed
        from trainstack.search.cli.watch import AWAY_SECONDS

        shown = Progress.chosen(True, self.name, self.url)
        self.status()  # an unknown name is an error at once
        polling = Polling(time.sleep, seconds=1.0, away_seconds=AWAY_SECONDS)
        with self._engine() as here:
            found = polling.statuses(here, self.name)
            for status in when_changed(found, lambda s: (s.state, s.counts, s.confirmation)):
                shown.say(line_of(status))
                shown.close()

    def report(self, folder: str | Path = "trainstack-report") -> Path:
        """Write report.html, report.md, recommendation.json and the pictures into a folder.

        Returns:
            The path of report.html.
        """
        from trainstack.search.cli.report_files import write

        return write(self._conclusion(), Path(folder))[0]

    def export(self, path: str | Path, format: str | None = None, **options: Any) -> Path:
        """Export the model, plain Keras code, or the stack as data.

        Args:
            path: File or folder to write to.
            format: `keras`, `python`, `json`, `savedmodel` or `litert`; by default the one that the
                path's suffix names, else `keras`.
            **options: Further flags of `export`, by name.

        Returns:
            The path of what was written.
        """
        from trainstack.search.cli.export import FORM_OF_SUFFIX

        self._check_concluded()
        if format is None:
            format = FORM_OF_SUFFIX.get(Path(path).suffix, "keras")
        words = as_words("export", {"format": format, **options})
        printed = run(
            ["export", f"--output={path}", *words, "--", self.name], self._storage, lambda _: None
        )
        return Path(printed.strip().splitlines()[-1])

    def pause(self) -> None:
        """Start no new trials; running trials finish."""
        self._request("pause")

    def resume(self) -> None:
        """Continue after `pause`, `stop` or `cancel`; `launch` starts workers for the study."""
        self._request("go")

    def stop(self) -> None:
        """Let running trials finish, then conclude from the existing trials."""
        self._request("stop")

    def cancel(self) -> None:
        """End running trials at once and return them to the queue."""
        self._request("cancel")

    def void(self, trial: int, reason: str) -> None:
        """Exclude a spoilt trial from the evidence, the sampler and the counts."""
        from trainstack.search.studies.actions import void_trial

        void_trial(self.url, self.name, trial, reason)

    def delete(self) -> None:
        """Delete the study permanently: its trials and runs, its models and logs, and its frame.

        Files of a frame or of arrays stay while another study of the storage uses them.

        Raises:
            RequestError: Workers still work on the study; `cancel` it first.
            StudyError: There is no such study.
        """
        from trainstack.search.studies.deletion import delete_study

        delete_study(self.url, self.name)

    def predict(self, rows: Any) -> Any:
        """Predict with the recommended model, which is loaded on the first call.

        Args:
            rows: A data frame with the columns of training (others are ignored), or an array
                [N, …] for data that was no table.

        Returns:
            For a frame a series with its index (several targets: a frame), else an array [N] (or
            [N, T]): the most probable class, or the prediction in the target's unit.

        Raises:
            RequestError: The rows cannot be read as those of training.
            NothingToRecommend: The study has no model.
        """
        return self._answers().predict(rows)

    def predict_proba(self, rows: Any) -> Any:
        """Predict the probability of each class, [N, K]; see `predict`.

        Returns:
            For a frame a frame whose columns are the classes, else an array.
        """
        return self._answers().predict_proba(rows)

    def _repr_html_(self) -> str:
        """Return the report with its pictures, or the progress of a study that is not concluded."""
        from trainstack.search.python.recommended import report_frame

        if self.status().concluded:
            return report_frame(self._conclusion())
        return view_of(self.name, self.url)

    def _answers(self) -> Any:
        from trainstack.search.python.prediction import answers_of

        self._check_concluded()
        return answers_of(self.url, self.name)

    def _conclusion(self) -> Conclusion:
        from trainstack.search.studies.conclusion import conclusion_of

        self._check_concluded()
        with self._engine() as here:
            return conclusion_of(here, self.name)

    def _check_concluded(self) -> None:
        if not (now := self.status()).concluded:
            raise RequestError(
                f"study '{self.name}' is {now.state}",
                "a concluded study",
                "wait with watch(), or end it with conclude()",
            )

    def _request(self, wanted: str) -> None:
        from trainstack.search.studies.actions import request_state

        request_state(self.url, self.name, wanted)

    def _frame(self, phase: str) -> pd.DataFrame:
        from trainstack.search.python.trials_frame import as_frame
        from trainstack.search.queue import queries

        with self._engine() as here:
            return as_frame(queries.trials(here, self.name, phase))

    @contextmanager
    def _engine(self) -> Iterator[Engine]:
        from trainstack.search.database.connection import connected

        with connected(self.url) as here:
            yield here

    @property
    def _storage(self) -> str:
        from trainstack.search.database.connection import exported

        return exported(self.url)


def open_study(name: str, storage: str | None = None) -> Study:
    """Return the study of a name.

    Args:
        name: Its name.
        storage: PostgreSQL URL; None: TRAINSTACK_STORAGE, else the embedded database.

    Raises:
        StudyError: There is no such study.
        StorageAwayError: The database does not answer.
    """
    study = Study(name, on_storage(storage))
    study.status()
    return study


def studies(storage: str | None = None) -> list[Study]:
    """Return every study of a database, oldest first.

    Raises:
        StorageAwayError: The database does not answer.
    """
    from trainstack.search.database.connection import connected
    from trainstack.search.queue import queries

    url = on_storage(storage)
    with connected(url) as here:
        return [Study(found.study, url) for found in queries.statuses(here)]


def on_storage(storage: str | None) -> URL:
    """Return the URL of a database with our tables; see `open_study`."""
    from trainstack.search.database.connection import connected, storage_url
    from trainstack.search.database.schema import ensure

    url = storage_url(storage)
    with connected(url) as here:
        ensure(here)
    return url
