"""The live note and the plots that optuna-dashboard shows of a study.

They derive from the fleet's tables and are rewritten only when a trial ended or the state changed;
the time for that stays a small share, however long the study.
"""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainstack.search.database.connection import connected
from trainstack.search.records import Outcome, Run, Status
from trainstack.spaces.errors import TrainstackError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import URL

    from trainstack.search.queue.status import StudyStatus
    from trainstack.search.spec import StudySpec

log = logging.getLogger("trainstack.notes")

# Least interval between two checks for changes, also as a multiple of the time that writing took.
EVERY_SECONDS, COST_TIMES = 4.0, 20.0
WARNING = "Written by trainstack and updated during the study; changes made here are overwritten."


class Notes:
    """Updates notes and plots in a background thread.

    Args:
        url: The database.
        study: Name of the study; None: all studies.
    """

    def __init__(self, url: URL, study: str | None = None) -> None:
        self.url, self.study = url, study
        self._seen: dict[str, tuple[Any, ...]] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._optuna: RDBStorage | None = None

    def start(self) -> Notes:
        """Start the thread and return this object."""
        self._thread = threading.Thread(target=self._follow, daemon=True, name="notes")
        self._thread.start()
        return self

    def stop(self, last: bool) -> None:
        """Stop the thread; if `last`, update once more, to include the conclusion."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(10.0)
        if last:
            self._try()
        if self._optuna is not None:
            self._optuna.engine.dispose()

    def _follow(self) -> None:
        while True:
            began = time.monotonic()
            self._try()
            cost = time.monotonic() - began
            if self._over.wait(max(EVERY_SECONDS, COST_TIMES * cost)):
                return

    def _try(self) -> None:
        """Refresh without raising: an error here must not end the search."""
        try:
            self.refresh()
        except TrainstackError:
            return  # reported elsewhere; the next refresh may succeed
        except Exception as error:
            log.warning("the dashboard's note was not written: %s", error)

    def refresh(self) -> list[str]:
        """Update the studies that have changed since the last refresh, and return their names.

        Raises:
            StorageAwayError: The database does not answer.
        """
        from trainstack.search.queue.progress import moment

        with connected(self.url) as here:
            found = moment(here)
            wanted = [name for name in found if self.study in (None, name)]
            changed = [name for name in wanted if self._seen.get(name) != found[name]]
            for name in changed:
                self._write(here, name)
                self._seen[name] = found[name]
            return changed

    def _write(self, here: Any, name: str) -> None:
        import optuna
        from optuna_dashboard import get_note, save_note, save_plotly_graph_object

        from trainstack.search.dashboard.plots import PLOTS
        from trainstack.search.queue import queries
        from trainstack.search.queue.study_store import find
        from trainstack.search.sampling.optuna_storage import ensure_study, open_storage
        from trainstack.search.sampling.trial_files import of_model

        if self._optuna is None:
            self._optuna = open_storage(here)
        storage = self._optuna
        status, (spec, runs, measured) = queries.status(here, name), queries.evidence(here, name)
        ensure_study(storage, spec)
        study = optuna.load_study(study_name=name, storage=storage)
        conclusion = _conclusion(spec, runs, measured) if status.concluded else None
        body = note_of(status, runs, conclusion)
        if get_note(study) != body:
            save_note(study, body)
        if status.concluded:
            with here.connect() as connection:
                _, model = of_model(connection, find(connection, name).study_id)
            for key, value in model.items():
                storage.set_study_system_attr(storage.get_study_id_from_name(name), key, value)
        for identifier, draw in PLOTS.items():
            figure = draw(runs, status.objective)
            if figure.data:
                save_plotly_graph_object(study, figure, graph_object_id=identifier)


def _conclusion(spec: StudySpec, runs: Sequence[Run], measured: Mapping[str, Any]) -> str | None:
    """Return a study's conclusion as text; None if there is nothing to recommend."""
    from trainstack.search.claims import findings
    from trainstack.search.conclusion.recommendation import recommend
    from trainstack.search.conclusion.text import text_of
    from trainstack.spaces.errors import NothingToRecommend

    if spec.experiment:
        return findings.text_of(findings.findings(spec, runs, measured))
    try:
        return text_of(recommend(spec, runs, measured))
    except NothingToRecommend:
        return None


def note_of(status: StudyStatus, runs: Sequence[Run], conclusion: str | None) -> str:
    """Format the state of a study as Markdown.

    Args:
        status: The study's status.
        runs: The study's trials and confirmation runs.
        conclusion: The recommendation as text, if there is one.
    """
    from trainstack.search.dashboard.storage import LATEST
    from trainstack.search.evidence.formatting import describe

    words = (*Outcome, Status.WAITING)
    counts = status.counts
    counted = ", ".join(f"{counts[word]} {word}" for word in words if counts[word])
    lines = [
        f"# {status.study}: {status.state}",
        f"Budget {status.budget.trials} trials: {counted or 'nothing yet'}.",
    ]
    searched = {run.number: run for run in runs if run.phase == "search" and run.number >= 0}
    best = searched.get(status.best.trial) if status.best else None
    if best is not None and best.stack is not None:
        lines.append(
            f"**Best of the search**: trial {best.number}, validation {status.objective} "
            f"{best.value:.4f}{status.over_folds}. "
            f"{describe(best.stack, status.network)}."
        )
    if any(status.confirmation.values()):
        runs_done = status.confirmation[Outcome.COMPLETED]
        lines.append(f"**Confirmation**: {runs_done} runs with fresh seeds have completed.")
    if sum(counts[word] for word in (*words, Status.RUNNING)) > LATEST:
        lines.append(
            f"The pages here list the latest {LATEST:,} trials and the best before them; "
            f"`trainstack trials {shlex.quote(status.study)}` lists all."
        )
    if conclusion:
        lines += ["## Recommendation", f"```text\n{conclusion}\n```"]
    elif status.concluded:
        lines += ["## Recommendation", "None: no trial finished."]
    lines.append(f"*{WARNING}*")
    return "\n\n".join(lines)
