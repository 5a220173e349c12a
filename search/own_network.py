"""A network of the user's own: a function in a Python file, `--network FILE.py:FUNCTION`.

The file's text is part of the study's spec, so that every worker has it. This module never runs it:
`trainstack.workers.engine.own_network` does.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainstack.search.saved_model import SavedModel
from trainstack.search.user_code import at_line, line_of, read_code
from trainstack.spaces.errors import RequestError

FLAG = "--network"


@dataclass(frozen=True)
class OwnNetwork:
    """A network in a user's file.

    Attributes:
        file: Name of the file.
        function: Name of the function.
        code: Text of the file.
        inputs: Name and shape of each input, in the order in which a row of the data holds them
            one after the other. A single input has the name `inputs`.
        places: Places in a row of the numbers of each input, for the columns of a table; empty:
            the inputs follow one another.
        fit: Why Keras's `fit` trains it, in words; empty: the engine does.
        defines: Part of its training that the user's own model defines, such as `train_step`.
        eager: Whether `fit` runs it step by step in Python, since it cannot be traced.
        files: Saved models whose layers it takes, by the names that it gives.
    """

    file: str
    function: str
    code: str
    inputs: tuple[tuple[str, tuple[int, ...]], ...] = ()
    places: tuple[tuple[int, ...], ...] = ()
    fit: str = ""
    defines: str = ""
    eager: bool = False
    files: tuple[tuple[str, SavedModel], ...] = ()

    @property
    def content(self) -> str:
        """Hash of the file's text, 12 hex digits."""
        return hashlib.sha256(self.code.encode()).hexdigest()[:12]

    @property
    def not_written(self) -> str:
        """Why no program in plain Keras is written for it, in words; empty: one is."""
        return "its model has a fit of its own" if self.defines == "fit" else ""

    @property
    def name(self) -> str:
        """The flag's value, without a folder."""
        return f"{self.file}:{self.function}"

    @property
    def place(self) -> str:
        """The function with its file and line, in words."""
        line = line_of(FLAG, self.file, self.function, self.code)
        return f"{self.function} ({at_line(self.file, line)})"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of a row that each input takes."""
        return tuple(math.prod(shape) for _, shape in self.inputs)

    def to_json(self) -> dict[str, Any]:
        """Return the document that `from_json` reads."""
        inputs = [{"name": name, "shape": list(shape)} for name, shape in self.inputs]
        places = {"places": [list(each) for each in self.places]} if self.places else {}
        return {
            **{"file": self.file, "function": self.function, "code": self.code},
            **{"inputs": inputs, **places, "fit": self.fit},
            **{"defines": self.defines, "eager": self.eager},
            "files": {name: asdict(model) for name, model in self.files},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> OwnNetwork:
        """Read a document written by `to_json`."""
        inputs = tuple((each["name"], tuple(each["shape"])) for each in document["inputs"])
        places = tuple(map(tuple, document.get("places", ())))
        files = tuple((n, SavedModel(**each)) for n, each in document.get("files", {}).items())
        training = document.get("fit", ""), document.get("defines", "")
        eager = document.get("eager", False)
        where = document["file"], document["function"], document["code"]
        return cls(*where, inputs, places, *training, eager, files)


def read_network(text: str) -> OwnNetwork:
    """Read `FILE.py:FUNCTION`.

    Raises:
        RequestError: There is no such file or function.
    """
    place, colon, name = text.rpartition(":")
    if not colon or not place.endswith(".py") or not name:
        raise RequestError(f"{FLAG} {text}", "FILE.py:FUNCTION, such as network.py:build")
    code, file = read_code(FLAG, place), Path(place).name
    line_of(FLAG, file, name, code)
    return OwnNetwork(file, name, code)
