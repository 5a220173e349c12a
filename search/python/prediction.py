"""Predictions of an exported model in the program's own process."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import runpy
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.spaces.errors import NothingToRecommend, RequestError

if TYPE_CHECKING:
    import numpy as np
    from sqlalchemy import URL, Engine

    from trainstack.search.spec import DataSpec

# Files of an exported model: kind in the artifact store → name beside each other.
FILES = {
    "keras": "model.keras",
    "preprocessing": "model.preprocessing.joblib",
    "predict": "model.predict.py",
}
# Rows of one call of the model. Every call has as many, so that a row's prediction does not depend
# on the rows beside it, to the last digit.
BATCH_ROWS = 256


@dataclass(frozen=True)
class Model:
    """An exported model as the bytes of its files; it can be pickled.

    Attributes:
        files: Kind → content; the kinds are those of FILES that an export has.
    """

    files: Mapping[str, bytes]

    @functools.cached_property
    def key(self) -> str:
        """A hash of the content."""
        digest = hashlib.blake2b(digest_size=16)
        for kind in sorted(self.files):
            digest.update(f"{kind} {len(self.files[kind])} ".encode() + self.files[kind])
        return digest.hexdigest()

    @property
    def reads_tables(self) -> bool:
        """True if rows are a frame with a table's columns, not an array of features."""
        return "predict" in self.files

    def outputs(self, rows: Any) -> np.ndarray:
        """Return the network's answers.

        Args:
            rows: A frame with a table's columns, or an array [N, …].

        Returns:
            Probabilities [N, K]; predictions in the targets' units [N, T].

        Raises:
            RequestError: The rows cannot be read as those of training.
        """
        return _loaded(self).outputs(rows)


def model_of(engine: Engine, study: str) -> Model:
    """Read the recommended model of a study from the artifact store.

    Raises:
        NothingToRecommend: The study has no model.
        RequestError: Its files are not there.
    """
    from trainstack.search.artifacts import open_store
    from trainstack.search.cli.recommend import copy_from
    from trainstack.search.database.connection import artifacts
    from trainstack.search.queue import queries

    names = (queries.measurement(engine, study) or {}).get("artifacts", {})
    if "keras" not in names:
        raise NothingToRecommend(
            f"study '{study}' has no model", "a study that ended with a recommendation"
        )
    store = open_store(artifacts())
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for kind in FILES:
            if kind in names:
                copy_from(store, names[kind], Path(folder) / kind)
                files[kind] = (Path(folder) / kind).read_bytes()
    return Model(files)


@dataclass(frozen=True)
class _Loaded:
    """A model in memory.

    Attributes:
        call: Returns the network's answers for encoded features.
        encode: Returns a table's features, encoded; None: rows are features.
        folder: Holds the files while they are used.
    """

    call: Callable[[Any], Any]
    encode: Callable[[Any], np.ndarray] | None
    folder: tempfile.TemporaryDirectory[str]

    def outputs(self, rows: Any) -> np.ndarray:
        import numpy as np

        features = self.features(rows)
        parts = []
        for start in range(0, len(features), BATCH_ROWS):
            part = features[start : start + BATCH_ROWS]
            filled = np.concatenate([part, np.repeat(part[-1:], BATCH_ROWS - len(part), axis=0)])
            parts.append(np.asarray(self.call(filled))[: len(part)])
        if not parts:
            raise RequestError("no rows to predict", "at least one row")
        return np.concatenate(parts)

    def features(self, rows: Any) -> np.ndarray:
        import numpy as np

        if self.encode is None:
            return np.asarray(rows)
        import pandas as pd

        if not isinstance(rows, pd.DataFrame):
            raise RequestError(
                f"rows of type {type(rows).__name__}", "a data frame with the table's columns"
            )
        try:
            return self.encode(rows.rename(columns=str))
        except (ValueError, KeyError) as error:
            raise RequestError(f"rows that the model cannot read ({error})") from None


@functools.lru_cache(maxsize=8)
def _load(key: str, files: tuple[tuple[str, bytes], ...]) -> _Loaded:
    folder = tempfile.TemporaryDirectory(prefix="trainstack-model-")
    paths = {}
    for kind, content in files:
        paths[kind] = Path(folder.name) / FILES[kind]
        paths[kind].write_bytes(content)
    encode = None
    if "predict" in paths:
        encode = runpy.run_path(str(paths["predict"]))["features"]
    # By its name, as workers are started: `search` imports nothing of `workers`.
    load = importlib.import_module("trainstack.workers.export.loading").load
    return _Loaded(load(paths["keras"]), encode, folder)


def _loaded(model: Model) -> _Loaded:
    return _load(model.key, tuple(model.files.items()))


@dataclass(frozen=True)
class Answers:
    """A model with the names of what it predicts.

    Attributes:
        model: The model.
        data: Description of the data it was trained on.
    """

    model: Model
    data: DataSpec

    def predict(self, rows: Any) -> Any:
        """Return the most probable class or the prediction of each row; see `Study.predict`."""
        import numpy as np

        found = self.model.outputs(rows)
        if self.data.classes:
            values = np.asarray(as_values(self.data.classes))[found.argmax(axis=1)]
        elif self.data.labels:
            pairs = [np.asarray(as_values(pair), object) for pair in self.data.labels]
            chosen = [pair[(c > 0.5).astype(int)] for pair, c in zip(pairs, found.T, strict=True)]
            values = np.stack(chosen, axis=1)
        else:
            values = found[:, 0] if found.shape[1] == 1 else found
        return self._indexed(values, rows, self.data.targets)

    def predict_proba(self, rows: Any) -> Any:
        """Return the probability of each class, [N, K]; see `Study.predict`."""
        if not (self.data.classes or self.data.labels):
            raise RequestError(
                "probabilities of a quantity", "a study of classes", "use predict(rows)"
            )
        found = self.model.outputs(rows)
        names = as_values(self.data.classes) if self.data.classes else self.data.targets
        return self._indexed(found, rows, names)

    def _indexed(self, values: np.ndarray, rows: Any, names: Any) -> Any:
        """Return values with the index of a frame; an array for an array."""
        import pandas as pd

        if not isinstance(rows, pd.DataFrame):
            return values
        if values.ndim == 1:
            return pd.Series(values, index=rows.index, name=self.data.target)
        return pd.DataFrame(values, index=rows.index, columns=list(names) or None)


def answers_of(url: URL, study: str) -> Answers:
    """Return the recommended model of a study in a database; see `model_of`."""
    from trainstack.search.database.connection import connected
    from trainstack.search.queue import queries

    with connected(url) as here:
        return Answers(model_of(here, study), queries.spec_of(here, study).data)


def as_values(names: tuple[str, ...]) -> list[Any]:
    """Return names of classes as whole numbers if all are the texts of such, else as they are.

    >>> as_values(("0", "10")), as_values(("007", "8")), as_values(("a", "1"))
    ([0, 10], ['007', '8'], ['a', '1'])
    """
    with contextlib.suppress(ValueError):
        found = [int(name) for name in names]
        if [str(number) for number in found] == list(names):
            return found
    return list(names)
