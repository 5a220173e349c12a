"""Messages without the secrets of a storage's URL."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from trainstack.search.database.url_parameters import SCHEMES

_NAMES = "|".join(re.escape(scheme) for scheme in SCHEMES)


_BEGIN = re.compile(rf"(?:{_NAMES}):/", re.IGNORECASE)


# What a message may have made of a URL (cut it, or read it as a path): a user and a password, but
# not a host and its port.
_REMAINS = re.compile(
    rf"((?:{_NAMES}):/+)[^\s'\"@:/?]*:(?!\d+(?:[/?\s'\"),;]|$))[^\s'\"]*", re.IGNORECASE
)


def redact_message(message: str, said: Iterable[str]) -> str:
    """Return a message in which no storage's URL shows a password.

    Args:
        message: What is to be told.
        said: The command's arguments, whose text it may repeat.
    """
    if not _BEGIN.search(message):
        return message
    for text in (*said, os.environ.get("TRAINSTACK_STORAGE", "")):
        if found := _BEGIN.search(text):
            url = text[found.start() :]
            shown, path = _shown(url), str(Path(url))
            forms = {form for t in (url, path) for form in (t, repr(t)[1:-1], ascii(t)[1:-1])}
            for form in sorted(forms, key=len, reverse=True):
                message = message.replace(form, shown)
            message = _cut(_cut(message, url, shown), path, shown)
    return _REMAINS.sub(r"\1…", message)


def _cut(message: str, url: str, shown: str) -> str:
    """End a message where it begins to tell a part of a URL with a secret in it."""
    bare = re.match(r"[^:]*:/*[^:?]*", url)  # what comes before any secret
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
