"""Removal of the secrets in a storage's URL from messages."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from trainstack.search.database.url_parameters import SCHEMES

_NAMES = "|".join(re.escape(scheme) for scheme in SCHEMES)
_BEGIN = re.compile(rf"(?:{_NAMES}):/", re.IGNORECASE)
# A user and a password (not a host and a port) in a URL that was cut or read as a path.
_REMAINS = re.compile(
    rf"((?:{_NAMES}):/+)[^\s'\"@:/?]*:(?!\d+(?:[/?\s'\"),;]|$))[^\s'\"]*", re.IGNORECASE
)


def redact_message(message: str, arguments: Iterable[str]) -> str:
    """Return a message without the passwords in storage URLs.

    Args:
        message: The message.
        arguments: The command's arguments, whose text the message may repeat.
    """
    if not _BEGIN.search(message):
        return message
    for text in (*arguments, os.environ.get("TRAINSTACK_STORAGE", "")):
        if found := _BEGIN.search(text):
            url = text[found.start() :]
            shown, path = _shown(url), str(Path(url))
            forms = {form for t in (url, path) for form in (t, repr(t)[1:-1], ascii(t)[1:-1])}
            for form in sorted(forms, key=len, reverse=True):
                message = message.replace(form, shown)
            message = _cut(_cut(message, url, shown), path, shown)
    return _REMAINS.sub(r"\1…", message)


def _cut(message: str, url: str, shown: str) -> str:
    """Cut a message at the first part of a URL with a secret, and append the redacted URL."""
    bare = re.match(r"[^:]*:/*[^:?]*", url)  # the part before any secret
    begin = url[: bare.end() + 1] if bare else url
    found = message.find(begin)
    if found < 0 or begin == url or shown.startswith(begin):
        return message
    return message[:found] + shown


def _shown(text: str) -> str:
    from trainstack.search.database.connection import redacted
    from trainstack.spaces.errors import RequestError

    try:
        return redacted(text)
    except RequestError:
        return f"{text.partition(':')[0]}://…"
