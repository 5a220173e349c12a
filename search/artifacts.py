"""The artifact store: named files that every worker of a study reads and writes.

It is a folder shared by all machines, or a bucket of an object store with the S3 protocol. A name
is a relative path with `/`, such as `digits/confirmation/5c0f-7.npz`. As names are also read from
the database, paths that lead out of the store are rejected.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote

from trainstack.spaces.errors import RequestError, StorageAwayError

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_EXAMPLE = "s3://bucket/prefix"
_FOLDER_BYTES = 140
# Short timeouts, as training waits while a checkpoint is written.
_CONNECT_SECONDS, _ANSWER_SECONDS, _ATTEMPTS = 5, 60, 2


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


def checked(name: str) -> str:
    """Return a name after checking that it stays inside the store.

    Raises:
        RequestError: It is absolute, contains `..`, or is not a plain path.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or re.search(r"[\\\0]|^[A-Za-z]:", name):
        raise RequestError(f"the artifact {name!r}", "a relative path inside the artifact store")
    return name


def folder_of(study: str) -> str:
    """Return the name of a study's folder, in the artifact store and among the logs.

    Names of studies may have characters of four bytes; those of folders are limited to 255 bytes,
    and on some file systems to 143.

    >>> folder_of("two words"), folder_of("ж" * 60)
    ('two%20words', 'study-980422fde226ce97')
    """
    name = quote(study, safe="")
    if len(name) <= _FOLDER_BYTES:
        return name
    return f"study-{hashlib.sha256(study.encode()).hexdigest()[:16]}"


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


class S3Store:
    """A store in an S3 bucket, or in the objects of it with a common prefix.

    boto3 finds server, region and keys as usual: in AWS_ENDPOINT_URL and other variables, in ~/.aws
    or by the machine's role.

    Args:
        bucket: Name of the bucket.
        prefix: Prefix of every key: empty, or ending in `/`.
    """

    def __init__(self, bucket: str, prefix: str) -> None:
        self.bucket, self.prefix = bucket, prefix
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError:
            raise RequestError(
                "TRAINSTACK_ARTIFACTS is an object store, but boto3 is not installed",
                "boto3",
                "pip install 'trainstack[s3]'",
            ) from None
        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_ANSWER_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            # Many S3-compatible servers support only the older checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            self._client: Any = boto3.client("s3", config=config)
        except (BotoCoreError, ValueError) as error:
            raise RequestError(
                f"{self}: {_first_line(error)}", "a region and keys for boto3"
            ) from None

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def write(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        """Write a local file and upload it; S3 shows only complete objects."""
        key = self._key(name)
        with tempfile.TemporaryFile() as file:
            fill(file)
            file.seek(0)
            with self._reaching(name):
                self._client.upload_fileobj(file, self.bucket, key)

    @contextlib.contextmanager
    def read(self, name: str) -> Iterator[BinaryIO]:
        """Download a file and open the temporary copy."""
        key = self._key(name)
        with tempfile.TemporaryFile() as file:
            with self._reaching(name):
                self._client.download_fileobj(self.bucket, key, file)
            file.seek(0)
            yield file

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._reaching(name):
            self._client.delete_object(Bucket=self.bucket, Key=self._key(name))

    def check(self) -> None:
        """Check that the bucket exists and is accessible."""
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
        from botocore.exceptions import ConnectionError as NotConnectedError

        try:
            self._client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if _status(error) >= 500:
                raise self._away(error) from None
            missing = _status(error) == 404
            problem = (
                f"there is no bucket for {self}" if missing else f"{self}: {_first_line(error)}"
            )
            hint = "create it" if missing else "check AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL"
            raise RequestError(problem, "a bucket that can be read and written", hint) from None
        except (HTTPClientError, NotConnectedError) as error:
            raise self._away(error) from None
        except BotoCoreError as error:
            raise RequestError(
                f"{self}: {_first_line(error)}", "keys that boto3 can find"
            ) from None

    def _away(self, error: Exception) -> StorageAwayError:
        return StorageAwayError(
            f"no answer from {self} ({_first_line(error)})", hint="check AWS_ENDPOINT_URL"
        )

    def _key(self, name: str) -> str:
        return self.prefix + checked(name)

    @contextlib.contextmanager
    def _reaching(self, name: str) -> Iterator[None]:
        """Convert boto3's errors to OSError and FileNotFoundError."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            kind = FileNotFoundError if _status(error) == 404 else OSError
            raise kind(f"{self}/{name}: {_first_line(error)}") from None
        except (BotoCoreError, Boto3Error) as error:
            raise OSError(f"{self}/{name}: {_first_line(error)}") from None


def _status(error: Any) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _first_line(error: Exception) -> str:
    """Return the first line of an error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
