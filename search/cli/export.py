"""`export`: write a study's model, its code or its stack."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainstack.search.cli.common import Storage, Study, err, out
from trainstack.search.cli.common import storage as reach
from trainstack.search.cli.recommend import settle
from trainstack.spaces.errors import NothingToRecommend, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trainstack.search.artifacts import Store
    from trainstack.search.spec import StudySpec


@dataclass(frozen=True)
class Format:
    """A format of `export`.

    Attributes:
        standard: The file's name in a folder that `-o` names; empty if the folder is what is
            written.
        kept: Kind of the kept file that it is, or that `workers/tasks/convert.py` makes it of.
        beside: Kept files that are written beside it: kind, what they are, how their names end.
    """

    standard: str
    kept: str
    beside: tuple[tuple[str, str, str], ...] = ()

    @property
    def suffix(self) -> str:
        """How its files' names end; empty for a folder."""
        return Path(self.standard).suffix


FORMATS = {
    "keras": Format("model.keras", "keras", (("predict", "for tables", ".predict.py"),)),
    "python": Format(
        "train.py",
        "python",
        (
            ("network", "which it needs", ".network.py"),
            ("saved", "which it needs", ".saved.keras"),
        ),
    ),
    "json": Format("stack.json", "json"),
    "savedmodel": Format("", "keras"),
    "litert": Format("model.tflite", "keras"),
}
FORM_OF_SUFFIX = {each.suffix: name for name, each in FORMATS.items() if each.suffix}


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(export)


def export(
    study: Study,
    output: Annotated[Path, typer.Option("-o", "--output", help="File or folder to write to.")],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="keras, python, json, savedmodel or litert; default: by the file's name, "
            ".keras, .py, .json or .tflite.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="single, refit, average or ensemble; default: the one that `recommend` names."
        ),
    ] = None,
    storage: Storage = None,
) -> None:
    """Export the stack as a saved model, plain Keras code, or JSON.

    `savedmodel` is a folder for TensorFlow Serving, `litert` a file for small devices.

    Example: trainstack export digits -o model.keras
    """
    from trainstack.search.artifacts import open_store
    from trainstack.search.cli.checks import known
    from trainstack.search.database.connection import artifacts
    from trainstack.search.evidence.default_model import KINDS
    from trainstack.search.queue import queries

    form = FORM_OF_SUFFIX.get(output.suffix) if form is None else form
    if form is None:
        raise RequestError(
            f"-o {output} without --format",
            f"--format {', '.join(FORMATS)}, or a file named *{', *'.join(FORM_OF_SUFFIX)}",
        )
    known("--format", form, tuple(FORMATS))
    if model is not None:
        known("--model", model, KINDS)
    with reach(storage) as (url, engine):
        settle(url, engine, study)
        spec = queries.spec_of(engine, study)
        measured = queries.measurement(engine, study) or {}
    wanted = FORMATS[form]
    kept = _files(spec, measured.get("models", {}), form, wanted.kept, model)
    target = output / wanted.standard if _is_folder(output, wanted) else output
    store = open_store(artifacts())
    if form == wanted.kept:
        copy_from(store, kept[form], target)
    else:
        _convert(store, kept[wanted.kept], form, target)
    for name, purpose, ending in wanted.beside:
        if name in kept:
            beside = target.with_suffix(ending)
            copy_from(store, kept[name], beside)
            err().print(f"beside it, {purpose}: {beside}", markup=False)
    out().print(str(target), markup=False)


def _files(
    spec: StudySpec, models: Mapping[str, Any], form: str, kept: str, asked: str | None
) -> Mapping[str, str]:
    """Return the names of a model's files by kind, after a line about the model.

    Raises:
        NothingToRecommend: There is no model.
        RequestError: There is no such model, or it has no such form.
    """
    from trainstack.search.evidence.default_model import SINGLE, default_model

    if form == "python" and spec.network is not None and spec.network.not_written:
        raise RequestError(
            f"--format python for {spec.network_name}: {spec.network.not_written}",
            "keras or json",
            "its layers are in your own file; the stack is in the JSON",
        )
    having = {kind: model for kind, model in models.items() if kept in model.get("artifacts", {})}
    if not having:
        raise NothingToRecommend(
            f"study '{spec.study}' has nothing to export",
            "a study that ended with a recommendation",
        )
    if asked is None and form == "json":
        asked = SINGLE  # the recommended stack, whatever the model
    if asked is None:
        kind, reason = default_model(spec, having)
        err().print(f"{kind}: {reason}", markup=False, soft_wrap=True)
        return having[kind]["artifacts"]
    if asked in having:
        return having[asked]["artifacts"]
    why = models[asked].get("left_out")
    raise RequestError(
        f"--model {asked}: not available ({why or 'it could not be written'})", " or ".join(having)
    )


def _is_folder(output: Path, wanted: Format) -> bool:
    """Tell whether `-o` names a folder for the file; Keras models need the suffix .keras."""
    if not wanted.standard:
        return False
    return output.is_dir() or (wanted is FORMATS["keras"] and output.suffix != wanted.suffix)


def _convert(store: Store, name: str, form: str, target: Path) -> None:
    """Write a kept Keras file in another format.

    Raises:
        RequestError: It cannot be expressed in the format, or not be written.
    """
    from trainstack.search.cli.worker_request import answers

    if form == "savedmodel" and not _replaceable(target):
        raise RequestError(f"{target} exists", "a new folder, or a SavedModel to write again")
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / FORMATS["keras"].standard
        copy_from(store, name, source)
        request = {"file": str(source), "format": form, "output": str(target.absolute())}
        for answer in answers("trainstack.workers.tasks.convert", request):
            err().print(answer["note"], markup=False, soft_wrap=True)


def _replaceable(folder: Path) -> bool:
    """Tell whether a SavedModel can be written here: the folder is new, empty, or holds one."""
    if not folder.exists() or (folder / "saved_model.pb").is_file():
        return True
    return folder.is_dir() and not any(folder.iterdir())


def copy_from(store: Store, name: str, target: Path) -> None:
    """Copy a study's file from the artifact store.

    Raises:
        RequestError: It is not there, or the copy cannot be written.
    """
    try:
        with contextlib.ExitStack() as opened:
            try:
                source = opened.enter_context(store.read(name))
            except FileNotFoundError:
                raise RequestError(
                    f"{name} is not in {store}",
                    "the artifact store that the workers wrote to",
                    "set TRAINSTACK_ARTIFACTS as on the workers",
                ) from None
            except OSError as error:
                raise RequestError(f"cannot read {name} from {store} ({error})") from None
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
    except OSError as error:
        raise RequestError(f"cannot write {target} ({error.strerror})") from None
