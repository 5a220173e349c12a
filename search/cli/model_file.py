"""The exported model that STUDY or FILE.keras names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainstack.search.cli.common import no_url
from trainstack.search.cli.common import storage as reach
from trainstack.spaces.errors import NothingToRecommend, RequestError

if TYPE_CHECKING:
    from trainstack.search.metrics.own import OwnMetric

ENDING = ".keras"
Model = Annotated[
    str,
    typer.Argument(
        metavar="STUDY|FILE.keras",
        help="Name of a study, or a model's file that export wrote.",
        callback=no_url,
    ),
]


@dataclass(frozen=True)
class ModelFile:
    """A model's file.

    Attributes:
        path: The file.
        study: The study whose model it is; None if a file was named.
        own_metric: The study's own metric, if it has one.
    """

    path: Path
    study: str | None = None
    own_metric: OwnMetric | None = None


def model_file(name: str, storage: str | None) -> ModelFile:
    """Return the file of a study's recommended model, or the file that is named.

    A study is concluded first if necessary. Its model is in the artifact store; from an object
    store it is copied once into `models` under TRAINSTACK_HOME.

    Raises:
        RequestError: There is no such file, or the study is still searching.
        StudyError: There is no such study.
        NothingToRecommend: It ended without a model.
    """
    from trainstack.search.artifact_names import checked
    from trainstack.search.artifacts import FolderStore, open_store
    from trainstack.search.cli.export import copy_from
    from trainstack.search.cli.recommend import settle
    from trainstack.search.database.connection import artifacts, home
    from trainstack.search.evidence.default_model import default_files
    from trainstack.search.queue import queries

    if name.endswith(ENDING):
        path = Path(name).expanduser()
        if not path.is_file():
            raise RequestError(f"there is no file {path}", "a model's file, or a study's name")
        return ModelFile(path.absolute())
    with reach(storage) as (url, engine):
        settle(url, engine, name)
        spec = queries.spec_of(engine, name)
        kept = default_files(spec, queries.measurement(engine, name))
    if "keras" not in kept:
        raise NothingToRecommend(
            f"study '{name}' has no model", "a study that ended with a recommendation"
        )
    store, artifact = open_store(artifacts()), checked(kept["keras"])
    path = (
        store.folder / artifact if isinstance(store, FolderStore) else home() / "models" / artifact
    )
    if not path.is_file():
        copy_from(store, artifact, path)
    return ModelFile(path, name, spec.own_metric)
