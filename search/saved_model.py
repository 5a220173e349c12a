"""A saved Keras model of which networks take layers: a file, known by the hash of its content.

It travels through the artifact store, where it lies under that hash.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    from trainstack.search.artifacts import Store


@dataclass(frozen=True)
class SavedModel:
    """A saved model.

    Attributes:
        file: Absolute path that the user gave.
        digest: Hash of its content, 32 hexadecimal digits.
    """

    file: str
    digest: str

    @property
    def name(self) -> str:
        """Its name in the artifact store."""
        return f"reused/{self.digest}.keras"

    def share(self, store: Store) -> None:
        """Write the file into the artifact store, for all workers.

        Raises:
            OSError: As `Store.write`.
            RequestError: The file has changed since it was read.
        """
        content = self.content()
        store.write(self.name, lambda file: file.write(content))

    def content(self, store: Store | None = None) -> bytes:
        """Return the file's content: from the store, or else from its path.

        Args:
            store: The artifact store; None: read the path only.

        Raises:
            RequestError: It is in neither, or another file.
        """
        for place in (None,) if store is None else (store, None):
            try:
                with Path(self.file).open("rb") if place is None else place.read(self.name) as file:
                    content = file.read()
            except OSError:
                continue
            if digest_of(content) == self.digest:
                return content
        raise RequestError(
            f"{self.file} is not the model with which the study was launched",
            "the same file",
            "launch again with it",
        )


def read_saved(text: str) -> SavedModel:
    """Return the saved model of a path.

    Raises:
        RequestError: It cannot be read.
    """
    path = Path(os.path.abspath(os.path.expanduser(text)))
    try:
        return SavedModel(str(path), digest_of(path.read_bytes()))
    except OSError as error:
        reason = error.strerror or error
        raise RequestError(f"{text} cannot be read ({reason})", "a .keras file") from None


def digest_of(content: bytes) -> str:
    """Return the hash of a file's content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()
