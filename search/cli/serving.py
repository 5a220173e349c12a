"""optuna-dashboard over this storage."""

from __future__ import annotations

import socket
import sys
from socketserver import ThreadingMixIn
from typing import Any

from spaces.errors import RequestError


def serve(storage: str | None, host: str, port: int) -> None:
    """Serve the dashboard until interrupted; its URL goes to standard output first.

    Raises:
        RequestError: The address cannot be listened on.
        StorageAwayError: The database does not answer.
    """
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    from optuna_dashboard import wsgi

    from search.fleet.connect import guarded, storage_url
    from search.fleet.mirror import open_storage

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Requests are not news."""

    class Threaded(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    url = storage_url(storage)
    with guarded(url):
        app = wsgi(open_storage(url))
    try:
        server = make_server(host, port, app, Threaded, Quiet)
    except OSError as error:
        raise RequestError(
            f"cannot listen on {host}:{port} ({error.strerror})", mend="give another --port"
        ) from None
    shown = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"http://{shown}:{server.server_port}/dashboard/\n")
    sys.stdout.flush()
    with server:
        server.serve_forever()
