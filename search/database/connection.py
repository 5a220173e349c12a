"""Location of the database, connections to it, and errors when it is unavailable."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from trainstack.search.database import url_parameters
from trainstack.spaces.errors import RequestError, StorageAwayError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

STORAGE, HOME, ARTIFACTS = "TRAINSTACK_STORAGE", "TRAINSTACK_HOME", "TRAINSTACK_ARTIFACTS"
_DRIVER = "postgresql+psycopg2"
# Characters that end user and password in a URL, and must be percent-encoded there.
_RESERVED = set("@/?#[] ")
_EXAMPLE = "postgresql://user@host:5432/database"
# A worker keeps one connection, and opens more only while several threads need one, so that 200
# workers stay below 400 connections.
POOL = {"pool_size": 1, "max_overflow": 3, "pool_pre_ping": True, "pool_recycle": 1800}
_CONNECT_SECONDS = 10
# By process, as a fork must not use its parent's connections.
_shared: dict[tuple[int, URL], Engine] = {}


def home() -> Path:
    """Return the folder of the embedded database, artifacts and logs; it may not exist yet."""
    if chosen := os.environ.get(HOME):
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("trainstack", appauthor=False))


def artifacts() -> str:
    """Return the location of models, checkpoints and reports: a folder or an object store's URL."""
    chosen = os.environ.get(ARTIFACTS)
    if chosen and "://" in chosen:
        return chosen
    return str(Path(chosen).expanduser().absolute() if chosen else home() / "artifacts")


def storage_url(flag: str | None = None) -> URL:
    """Return the database's URL: the flag's, else the environment's, else the embedded server's.

    The embedded server is started if it is not running, and kept until this process ends.

    Args:
        flag: The value of `--storage`.

    Returns:
        A URL that names its driver.

    Raises:
        RequestError: It is not a PostgreSQL URL, or the embedded server cannot start here.
    """
    from trainstack.search.database.embedded_postgres import hold, url_of

    data = home() / "postgres"
    given = flag or os.environ.get(STORAGE)
    # A launcher may pass the embedded server's URL to workers, which then keep it running, too.
    if given and not (data.is_dir() and parse_url(given) == parse_url(url_of(data))):
        return parse_url(given)
    return parse_url(hold(data))


def parse_url(text: str) -> URL:
    """Parse a PostgreSQL URL as users type it, and add the driver.

    Raises:
        RequestError: It is not a PostgreSQL URL.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    scheme = text.split("://", 1)[0]
    if "://" not in text or scheme not in url_parameters.SCHEMES:
        # The text may hold a password: only its scheme is safe to repeat.
        named = "://" in text and scheme.replace("+", "").isalnum()
        got = f"storage of kind '{scheme}'" if named else "storage that is not a URL"
        raise RequestError(got, f"a PostgreSQL URL such as {_EXAMPLE}", _hint())
    if _RESERVED & set(text.split("://", 1)[1].rpartition("@")[0]):
        # Otherwise a part of the password would be read as the host or the database.
        raise RequestError(
            "a storage URL with a reserved character before its host",
            _EXAMPLE,
            "percent-encode user and password: @ is %40, / is %2F, # is %23, ? is %3F",
        )
    if not url_parameters.is_known(url_parameters.query_of(text)):
        # An unknown name may be part of a password that was split at an &: do not repeat it.
        raise RequestError(
            "a storage URL with something after its ? that is no parameter of PostgreSQL's",
            f"{_EXAMPLE}?sslmode=require",
            "percent-encode what a value holds: & is %26, = is %3D, # is %23, + is %2B",
        )
    try:
        url = make_url(_DRIVER + "://" + text.split("://", 1)[1])
    except (ArgumentError, ValueError):
        url = None
    if url is None or "\0" in unquote(text):
        raise RequestError(
            "a PostgreSQL URL that cannot be read", _EXAMPLE, "write %40 for @ in a password"
        )
    return url


def _hint() -> str:
    return f"give --storage or {STORAGE}, or neither for the embedded PostgreSQL"


def redacted(url: URL | str) -> str:
    """Return the URL without its password, for display.

    If the query holds a password, the whole query is left out, as a password that was split at an
    & may continue there.
    """
    parsed = parse_url(url) if isinstance(url, str) else url
    safe = {} if url_parameters.SECRET & set(parsed.query) else parsed.query
    bare = parsed.set(drivername="postgresql", query=safe)
    if bare.password is not None:
        bare = bare._replace(password=None)
    return bare.render_as_string(hide_password=True)


def exported(url: URL) -> str:
    """Return the URL with its password, for a child process's environment and nothing else."""
    return url.render_as_string(hide_password=False)


def engine_options(url: URL) -> dict[str, Any]:
    """Return the keyword arguments of `create_engine` shared by all engines.

    Args:
        url: The database; parameters in its query take precedence.
    """
    connect: dict[str, Any] = {
        "application_name": "trainstack",
        "connect_timeout": _CONNECT_SECONDS,
        # Detects a vanished peer within about a minute.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    return {**POOL, "connect_args": {k: v for k, v in connect.items() if k not in url.query}}


def engine(url: URL) -> Engine:
    """Return a new engine with a small pool whose connections are tested before use.

    The caller disposes of it. All other code uses `shared_engine`.
    """
    from sqlalchemy import create_engine

    return create_engine(url, **engine_options(url))


def shared_engine(url: URL) -> Engine:
    """Return the engine that all code of this process shares; `disconnect` disposes of it."""
    key = os.getpid(), url
    # Two threads that get here at the same time both receive the engine stored first.
    return _shared.get(key) or _shared.setdefault(key, engine(url))


def disconnect() -> None:
    """Dispose of this process's shared engines, at the end of a command."""
    for key in list(_shared):  # a copy, as a thread may be adding an engine
        if key[0] == os.getpid():
            _shared.pop(key).dispose()


@contextlib.contextmanager
def guarded(url: URL) -> Iterator[None]:
    """Raise StorageAwayError for errors of the connection; a context manager or decorator.

    Raises:
        StorageAwayError: The server does not answer, refuses, or dropped the connection.
    """
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise _away(url, error) from None
    except DBAPIError as error:
        # Without a statement the connection itself was refused, for example by its parameters.
        if error.connection_invalidated or error.statement is None:
            raise _away(url, error) from None
        raise
    except Exception as error:
        # Optuna wraps SQLAlchemy's errors; compare by name to avoid importing Optuna.
        cause = error.__cause__
        if type(error).__name__ == "StorageInternalError" and isinstance(
            cause, (OperationalError, InterfaceError, PoolTimeoutError)
        ):
            raise _away(url, cause) from None
        raise


@contextlib.contextmanager
def connected(url: URL) -> Iterator[Engine]:
    """Yield the shared engine on a database; see `shared_engine`.

    Raises:
        StorageAwayError: The server does not answer, refuses, or dropped the connection.
    """
    with guarded(url):
        yield shared_engine(url)


def _away(url: URL, error: Exception) -> StorageAwayError:
    reason = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
    hidden = [str(url.password or "")]
    # Part of a password may have been read as another parameter.
    if url_parameters.SECRET & set(url.query):
        for value in url.query.values():
            hidden += [value] if isinstance(value, str) else value
    for secret in sorted(filter(None, hidden), key=len, reverse=True):
        reason = reason.replace(secret, "***")
    return StorageAwayError(
        f"no answer from {redacted(url)} ({reason})",
        hint=f"check that PostgreSQL runs there and that --storage or {STORAGE} is right",
    )
