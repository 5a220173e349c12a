"""`recommend`, `report`, `export`: the conclusion of a study, said, drawn and taken away."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.across import one_study, recommend_across
from search.cli.common import AsJson, Storage, Study, err, out, print_json
from search.cli.common import storage as reach
from search.cli.forking import fork_server
from spaces.errors import NothingToRecommend, RequestError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

    from search.artifacts import Store
    from search.evidence.recommendation import Recommendation

STANDARD_NAMES = {"keras": "model.keras", "python": "train.py", "json": "stack.json"}
# What stands beside a table's model: its encoder, and a script that applies both to raw rows.
SIDECARS = {"preprocessing": ".preprocessing.joblib", "predict": ".predict.py"}


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (recommend, report, export):
        app.command()(verb)


def recommend(
    study: Annotated[list[str], typer.Argument(help="Name of the study; several with --across.")],
    across: Annotated[
        bool, typer.Option("--across", help="The default that serves the data of all the studies.")
    ] = False,
    as_json: AsJson = False,
    storage: Storage = None,
) -> None:
    """The recommendation; candidates are confirmed first if that has not been done.

    Example: trainstack recommend digits --json
    """
    if across:
        recommend_across(study, as_json, storage)
        return
    name = one_study(study)
    with reach(storage) as (url, engine):
        _settle(url, engine, name)
    conclude(url, name, as_json)


def report(
    study: Study,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")] = Path(
        "trainstack-report"
    ),
    as_json: AsJson = False,
    storage: Storage = None,
) -> None:
    """Write report.html, report.md, recommendation.json and the pictures.

    Example: trainstack report digits -o report
    """
    with reach(storage) as (url, engine):
        _settle(url, engine, study)
        paths = write(engine, study, output)
    if as_json:
        print_json({"study": study, "files": [str(path) for path in paths]})
    else:
        out().print(str(output / "report.html"), markup=False)


def export(
    study: Study,
    form: Annotated[str, typer.Option("--format", help="keras, python or json.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write it.")],
    storage: Storage = None,
) -> None:
    """The recommended stack: a saved model, plain Keras code, or data.

    Example: trainstack export digits --format keras -o model.keras
    """
    from search.artifacts import open_store
    from search.cli.launching import known
    from search.fleet import inspect
    from search.fleet.connect import artifacts

    known("--format", form, tuple(STANDARD_NAMES))
    with reach(storage) as (url, engine):
        _settle(url, engine, study)
        measured = inspect.measurement(engine, study) or {}
    kept = measured.get("artifacts", {})
    if form not in kept:
        raise NothingToRecommend(
            f"study '{study}' has nothing to export", "a study that ended with a recommendation"
        )
    target = output / STANDARD_NAMES[form] if _is_folder(output, form) else output
    store = open_store(artifacts())
    _copy(store, kept[form], target)
    if form == "keras":
        for name, ending in SIDECARS.items():
            if name in kept:
                beside = target.with_suffix(ending)
                _copy(store, kept[name], beside)
                err().print(f"beside it, for tables: {beside}", markup=False)
    out().print(str(target), markup=False)


def _is_folder(output: Path, form: str) -> bool:
    """True where `-o` names a folder; Keras reads models from files ending in .keras alone."""
    return output.is_dir() or (form == "keras" and output.suffix != ".keras")


def _copy(store: Store, name: str, target: Path) -> None:
    try:
        with contextlib.ExitStack() as opened:
            try:
                source = opened.enter_context(store.read(name))
            except FileNotFoundError:
                raise RequestError(
                    f"{name} is not in {store}",
                    "the artifact store that the workers wrote to",
                    "set TRAINSTACK_ARTIFACTS as it was for them",
                ) from None
            except OSError as error:
                raise RequestError(f"cannot read {name} from {store} ({error})") from None
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
    except OSError as error:
        raise RequestError(f"cannot write {target} ({error.strerror})") from None


def _settle(url: URL, engine: Engine, study: str) -> None:
    """See to it that the study is concluded, with workers of this machine if need be.

    Raises:
        RequestError: Others are still searching.
        StudyError: There is no such study.
    """
    from search.cli.launching import worker_count
    from search.cli.watching import work
    from search.fleet import inspect
    from search.fleet.studies import wish

    status = inspect.status(engine, study)
    if status["concluded"]:
        return
    busy = [w for w in status["workers"] if w["last_seen_seconds"] < 60 and w["state"] != "lost"]
    if status["phase"] == "searching":
        if busy and status["state"] == "searching":
            raise RequestError(
                f"study '{study}' is still searching",
                "a study whose search has ended",
                f"wait, or end it: trainstack stop {study}",
            )
        if not sum(status["counts"][k] for k in ("completed", "pruned", "diverged", "running")):
            raise NothingToRecommend(f"study '{study}' has no finished trial yet")
        wish(url, study, "stop")
    elif status["state"] != "confirming":
        wish(url, study, "go")
    count = 0 if busy else worker_count(None)
    with fork_server(needed=count > 0):
        work(url, inspect.spec_of(engine, study), count)


def gather(engine: Engine, study: str) -> Recommendation:
    """Read a study's evidence and conclude.

    Raises:
        NothingToRecommend: No trial finished, or the study tests claims.
    """
    from search.evidence.recommendation import recommend as judge
    from search.fleet import inspect

    spec = inspect.spec_of(engine, study)
    if spec.experiment:
        raise NothingToRecommend(
            f"study '{study}' tests claims", "one that searched", "`trainstack claims` judges them"
        )
    measured = inspect.measurement(engine, study) or {}
    return judge(spec, inspect.runs(engine, study), measured)


def write(engine: Engine, study: str, folder: Path) -> list[Path]:
    """Write the report into a folder; return the files."""
    from search.fleet import inspect
    from search.report.write import write_report

    try:
        folder.mkdir(parents=True, exist_ok=True)
        return write_report(
            folder,
            inspect.spec_of(engine, study),
            gather(engine, study),
            inspect.runs(engine, study),
        )
    except OSError as error:
        raise RequestError(f"cannot write the report to {folder} ({error.strerror})") from None


def conclude(url: URL, study: str, as_json: bool) -> None:
    """Print the recommendation, and write its report beside the study's artifacts.

    Raises:
        NothingToRecommend: No trial finished.
    """
    from search.fleet.connect import engine, guarded

    with guarded(url):
        here = engine(url)
        try:
            found = gather(here, study)
            folder = _write_beside_artifacts(here, study)
        finally:
            here.dispose()
    if as_json:
        print_json(found.to_json())
        return
    _print(found, folder / "report.html")


def _write_beside_artifacts(engine: Engine, study: str) -> Path:
    """Write the report into the artifact store; return a folder of this machine that holds it."""
    from search.artifacts import FolderStore, checked, open_store, put
    from search.fleet.connect import artifacts, home

    store = open_store(artifacts())
    local = store.folder if isinstance(store, FolderStore) else home() / "artifacts"
    folder = local / checked(study) / "report"
    for path in write(engine, study, folder):
        if isinstance(store, FolderStore):
            continue
        try:
            put(store, f"{study}/report/{path.name}", path)
        except OSError as error:
            err().print(f"the report is not in {store} ({error})", markup=False)
            break
    return folder


def _print(found: Any, report_path: Path) -> None:
    """The conclusion as text, for 80 columns."""
    from search.evidence.words import text_of

    out().print(text_of(found), markup=False)
    out().print(f"\nReport: {report_path}", markup=False, soft_wrap=True)
