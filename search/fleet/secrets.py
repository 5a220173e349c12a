"""What of a storage's URL is secret, and how a message is told without it.

Standard library only: the command's entry and the reading of URLs both need it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qsl

SCHEMES = ("postgres", "postgresql", "postgresql+psycopg2")
# Parameters that nobody else is to see.
SECRET = frozenset(
    {"password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"}
)
# Parameters of a connection ("Parameter Key Words" in PostgreSQL's manual, version 18).
KNOWN = SECRET | {
    *("host", "hostaddr", "port", "dbname", "user", "passfile", "require_auth"),
    *("channel_binding", "connect_timeout", "client_encoding", "options", "application_name"),
    *("fallback_application_name", "keepalives", "keepalives_idle", "keepalives_interval"),
    *("keepalives_count", "tcp_user_timeout", "replication", "gssencmode", "sslmode"),
    *("requiressl", "sslnegotiation", "sslcompression", "sslcert", "sslkey", "sslkeylogfile"),
    *("sslcertmode", "sslrootcert", "sslcrl", "sslcrldir", "sslsni", "requirepeer"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version", "min_protocol_version"),
    *("max_protocol_version", "krbsrvname", "gsslib", "gssdelegation", "service", "servicefile"),
    *("target_session_attrs", "load_balance_hosts", "oauth_issuer", "oauth_client_id"),
    "oauth_scope",
}
# Several servers may stand in one URL.
_REPEATED = frozenset({"host", "port"})
_NAMES = "|".join(re.escape(scheme) for scheme in SCHEMES)
_BEGIN = re.compile(rf"(?:{_NAMES}):/", re.IGNORECASE)
# What a message may have made of a URL (cut it, or read it as a path): a user and a password, but
# not a host and its port.
_REMAINS = re.compile(
    rf"((?:{_NAMES}):/+)[^\s'\"@:/?]*:(?!\d+(?:[/?\s'\"),;]|$))[^\s'\"]*", re.IGNORECASE
)


def is_url(text: str) -> bool:
    """Tell whether a text is, or was meant as, a storage's URL."""
    return text.partition("://")[0].lower() in SCHEMES and "://" in text


def query_of(text: str) -> list[tuple[str, str]] | None:
    """Return the parameters of a URL's query, decoded; None where they are no `name=value`."""
    query = text.partition("?")[2]
    try:
        return parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        return None


def is_known(query: list[tuple[str, str]] | None) -> bool:
    """Tell whether a query can be read as PostgreSQL's parameters, each given once."""
    names = [name for name, _ in query or ()]
    once = [name for name in names if name not in _REPEATED]
    return query is not None and set(names) <= KNOWN and len(once) == len(set(once))


def hushed(message: str, said: Iterable[str]) -> str:
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
    from search.fleet.connect import redacted
    from spaces.errors import RequestError

    try:
        return redacted(text)
    except RequestError:
        return f"{text.partition(':')[0]}://…"
