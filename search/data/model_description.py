"""What an exported model's file says about its rows and its answers."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from trainstack.search.data.dataset import Dataset
from trainstack.search.data.model_inputs import input_names
from trainstack.search.data.spelling import Spelling
from trainstack.search.metrics.conformal import Residuals
from trainstack.spaces.errors import RequestError

# Its name in the file, which is an archive of Keras's own parts. Keras ignores others.
_NAME = "trainstack.json"


@dataclass(frozen=True)
class ModelDescription:
    """What an exported model takes, and what its answers mean.

    Fields as in `Dataset`, and:

    Attributes:
        study: Name of its study.
        task: As in `Dataset`.
        target: As in `Dataset`.
        shape: Shape of a row of arrays; empty for tables.
        classes: As in `Dataset`.
        labels: As in `Dataset`.
        numeric: As in `Dataset`.
        text: As in `Dataset`.
        spellings: As in `Dataset`.
        origins: As in `Dataset`.
        gaps: Numeric columns with missing values in training.
        levels: Categories of the text columns that training knows.
        left_out: Columns of the training table that are no features, the target's aside.
        weight: As in `Dataset`.
        metric: Name of the metric that decided.
        residuals: Errors on the validation part, in regression.
    """

    study: str
    task: str
    target: str | tuple[str, ...] | None
    shape: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    numeric: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    spellings: Mapping[str, Spelling] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    weight: str | None = None
    metric: str = ""
    residuals: Residuals | None = None

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        study: str,
        metric: str,
        levels: Mapping[str, list[str]],
        residuals: Residuals | None,
    ) -> ModelDescription:
        """Return the description of a model that was trained on data.

        Args:
            dataset: The data.
            study: Name of the study.
            metric: Name of the metric that decided.
            levels: Categories of the text columns that training knows.
            residuals: Errors on the validation part, in regression.
        """
        used = {dataset.origins.get(name, name) for name in dataset.columns}
        all_columns = [column.name for column in dataset.described]
        return cls(
            study,
            dataset.task,
            dataset.target,
            () if dataset.is_table else dataset.image_shape or (dataset.features,),
            dataset.classes,
            dataset.labels,
            dataset.numeric,
            dataset.text,
            # Those of columns that are left out are not kept.
            {name: how for name, how in dataset.spellings.items() if name in dataset.columns},
            dataset.origins,
            dataset.has_missing if dataset.is_table else (),
            {name: tuple(found) for name, found in levels.items()},
            tuple(name for name in all_columns if name not in used),
            dataset.weight,
            metric,
            residuals,
        )

    @property
    def is_table(self) -> bool:
        """Whether it takes a table's columns."""
        return not self.shape

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of several targets; empty if there is one."""
        return self.target if isinstance(self.target, tuple) else ()

    @property
    def target_columns(self) -> tuple[str, ...]:
        """Names of the target's columns; empty for arrays without names."""
        return (self.target,) if isinstance(self.target, str) else self.target or ()

    @cached_property
    def inputs(self) -> dict[str, str]:
        """The model's input for each column that is made of the table's."""
        return input_names((*self.numeric, *self.text))

    @property
    def needed(self) -> tuple[str, ...]:
        """The table's columns that are features, in the order of the inputs."""
        return tuple(dict.fromkeys(self.origins.get(name, name) for name in self.inputs))

    def write_into(self, path: Path) -> None:
        """Add the description to a model's file."""
        document = {**asdict(self), "version": 1}
        document["spellings"] = {name: how.to_json() for name, how in self.spellings.items()}
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(_NAME, json.dumps(document))

    @classmethod
    def read(cls, path: Path) -> ModelDescription:
        """Read the description in a model's file.

        Raises:
            RequestError: The file cannot be read, or was not written by `export`.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                document = json.loads(archive.read(_NAME))
            return cls._from_json(document)
        except OSError as error:
            raise RequestError(
                f"{path} cannot be read ({error.strerror})", "a file that export wrote"
            ) from None
        except (zipfile.BadZipFile, KeyError, TypeError, ValueError):
            raise RequestError(
                f"{path} is no model that export wrote",
                "the file of `trainstack export STUDY --format keras -o FILE.keras`",
            ) from None

    @classmethod
    def _from_json(cls, document: dict[str, Any]) -> ModelDescription:
        if document.pop("version") != 1:
            raise ValueError("another version")
        lists = ("shape", "classes", "numeric", "text", "gaps", "left_out")
        residuals, target = document["residuals"], document["target"]
        changed = {
            **{name: tuple(document[name]) for name in lists},
            "target": tuple(target) if isinstance(target, list) else target,
            "labels": tuple((off, on) for off, on in document["labels"]),
            "spellings": {n: Spelling.from_json(how) for n, how in document["spellings"].items()},
            "levels": {name: tuple(found) for name, found in document["levels"].items()},
            "residuals": None if residuals is None else Residuals.from_json(residuals),
        }
        return cls(**{**document, **changed})
