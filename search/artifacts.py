"""The artifact store: named files that every worker of a study reads and writes.

It is a folder shared by all machines, or a bucket of an object store with the S3 protocol. A name
is a relative path with `/`, such as `digits/confirmation/5c0f-7.npz`. As names are also read from
the database, paths that lead out of the store are rejected.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from trainstack.search.artifact_names import checked
from trainstack.search.object_store import S3Store
from trainstack.spaces.errors import RequestError

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_EXAMPLE = "s3://bucket/prefix"


class Store(Protocol):
    """A store of artifacts. Readers see a complete file or none."""

    def write(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        """Write a file, replacing an existing one.

        Args:
            name: Name of the file.
            fill: Function that writes the content to the given file.

        Raises:
            OSError: There is no space, no permission or no answer; nothing is left behind.
        """
        ...

    def read(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file.

        Raises:
            FileNotFoundError: There is no such file.
            OSError: It cannot be read, or the store does not answer.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there.

        Raises:
            OSError: It cannot be removed.
        """
        ...

    def check(self) -> None:
        """Check that the store can be used.

        Raises:
            RequestError: The store does not exist, or access is denied.
            StorageAwayError: The store does not answer.
        """
        ...


def open_store(location: str) -> Store:
    """Return the store at a folder's path or an object store's URL, without connecting to it.

    Args:
        location: The value of TRAINSTACK_ARTIFACTS.

    Raises:
        RequestError: The URL is of another kind, or its library is not installed.
    """
    scheme, separator, rest = location.partition("://")
    if not separator:
        return FolderStore(Path(location))
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not _BUCKET.fullmatch(bucket):
        # Repeat only the scheme, as a URL may hold a key.
        raise RequestError(
            f"TRAINSTACK_ARTIFACTS is a URL that starts with {scheme}://",
            f"a folder, or {_EXAMPLE}",
            "set keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    prefix = prefix.strip("/")
    return S3Store(bucket, f"{checked(prefix)}/" if prefix else "")


def put(store: Store, name: str, path: Path) -> None:
    """Write a copy of a local file.

    Raises:
        OSError: As `Store.write`.
    """
    with path.open("rb") as source:
        store.write(name, lambda file: shutil.copyfileobj(source, file))


class FolderStore:
    """A store in a folder, which all machines must share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def path(self, name: str) -> Path:
        """Return the path for a file name.

        Raises:
            RequestError: The path is outside the folder, perhaps by a link.
        """
        path = self.folder / checked(name)
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise RequestError(f"the artifact {name!r} is a link", f"a file in {self.folder}")
        return path

    def write(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        """Write a temporary file and rename it, so that readers see a complete file or none."""
        import socket

        path = self.path(name)
        part = path.with_name(f"{path.name}.{socket.gethostname()}-{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                fill(file)
            part.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise

    def read(self, name: str) -> BinaryIO:
        """Open a file."""
        return self.path(name).open("rb")

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self.path(name).unlink(missing_ok=True)

    def check(self) -> None:
        """Check that the folder exists, or can be created by the first write."""
        there = self.folder
        while not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir():
            raise RequestError(
                f"the artifact store {self.folder}: {there} is not a folder",
                "a folder, or a place for one",
                "set TRAINSTACK_ARTIFACTS",
            )
        if not os.access(there, os.W_OK | os.X_OK):
            raise RequestError(
                f"the artifact store {self.folder}: {there} cannot be written",
                "a folder with permission to write",
                "set TRAINSTACK_ARTIFACTS, or allow it there",
            )
