"""The artifact store in a bucket of an object store."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from trainstack.search.artifact_names import checked
from trainstack.spaces.errors import RequestError, StorageAwayError

# Short timeouts, as training waits while a checkpoint is written.
_CONNECT_SECONDS, _ANSWER_SECONDS, _ATTEMPTS = 5, 60, 2


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
