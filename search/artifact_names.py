"""Names of files in the artifact store, and of a study's folder."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

from trainstack.spaces.errors import RequestError

_FOLDER_BYTES = 140


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
