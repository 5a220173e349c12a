"""Serve optuna-dashboard over this storage."""

from __future__ import annotations

import gc
import ipaddress
import socket
import sys
import warnings
from socketserver import ThreadingMixIn
from typing import Any

from trainstack.spaces.errors import RequestError


def serve(storage: str | None, host: str, port: int, study: str | None = None) -> None:
    """Print the dashboard's URL on standard output, then serve it until interrupted.

    Args:
        storage: Value of `--storage`.
        host: Address to listen on.
        port: Port; 0: any free one.
        study: Study whose page the URL opens; None: the list of studies.

    Raises:
        RequestError: The address cannot be bound.
        StorageAwayError: The database does not answer.
        StudyError: There is no such study.
    """
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    from optuna_dashboard import wsgi

    from trainstack.search.artifacts import open_store
    from trainstack.search.dashboard.notes import Notes
    from trainstack.search.dashboard.storage import DashboardStorage
    from trainstack.search.database.connection import artifacts, guarded, shared_engine, storage_url
    from trainstack.search.sampling.optuna_storage import open_storage
    from trainstack.search.sampling.trial_files import Attached

    # Optuna logs a message for every importance that the dashboard computes.
    warnings.simplefilter("ignore")
    # A page of ten thousand trials creates millions of small objects; frequent garbage collection
    # would take a fifth of the time.
    gc.set_threshold(200_000, 20, 100)

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Do not log requests."""

    class Threaded(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    url = storage_url(storage)
    with guarded(url):
        optuna_storage = open_storage(shared_engine(url))
        page = _page(optuna_storage, study)
        attached = Attached(optuna_storage.engine, open_store(artifacts()))
        shown = DashboardStorage(optuna_storage, optuna_storage.engine)
        app = wsgi(shown, artifact_store=attached)
    try:
        server = make_server(host, port, app, Threaded, Quiet)
    except OSError as error:
        raise RequestError(
            f"cannot listen on {host}:{port} ({error.strerror})", hint="give another --port"
        ) from None
    if not _is_loopback(server.server_address[0]):
        sys.stderr.write(
            f"warning: anyone who can reach {host}:{server.server_port} can delete studies; the "
            "dashboard has no login: put a proxy that asks for one in front of it\n"
        )
    shown = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"http://{shown}:{server.server_port}/dashboard/{page}\n")
    sys.stdout.flush()
    notes = Notes(url).start()
    try:
        with server:
            server.serve_forever()
    finally:
        notes.stop(last=False)


def _is_loopback(address: Any) -> bool:
    return ipaddress.ip_address(str(address).split("%")[0]).is_loopback


def _page(storage: Any, study: str | None) -> str:
    """Return the path of a study's page in the dashboard."""
    if study is None:
        return ""
    from trainstack.search.database.schema import ensure
    from trainstack.search.queue import queries
    from trainstack.search.sampling.optuna_storage import ensure_study

    ensure(storage.engine)
    ensure_study(storage, queries.spec_of(storage.engine, study))  # it may not be exported yet
    return f"studies/{storage.get_study_id_from_name(study)}"
