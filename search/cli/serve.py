"""`trainstack serve STUDY|FILE.keras`: predictions over HTTP."""

from __future__ import annotations

import ipaddress
from importlib.util import find_spec
from typing import Annotated

import typer

from trainstack.search.cli import signals
from trainstack.search.cli.common import Storage, err, out
from trainstack.search.cli.model_file import Model, model_file
from trainstack.search.cli.worker_request import answers
from trainstack.spaces.errors import RequestError

LOOPBACK = "127.0.0.1"


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(serve)


def serve(
    model: Model,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = LOOPBACK,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")
    ] = 8000,
    storage: Storage = None,
) -> None:
    """Serve predictions over HTTP until interrupted.

    The requests are POST /predict, GET /health and GET /docs.

    The address is printed once the model is loaded. There is no login.

    Example: trainstack serve houses --port 8000
    """
    check_installed()
    found = model_file(model, storage)
    if not _is_loopback(host):
        err().print(
            f"warning: anyone who can reach {host} can ask for predictions; there is no login",
            markup=False,
        )
    request = {"file": str(found.path), "host": host, "port": port}
    signals.say("the server has ended")
    for answer in answers("trainstack.workers.tasks.service", request):
        out().print(answer["url"], markup=False)


def check_installed() -> None:
    """Check that the libraries of the extra `serve` are there.

    Raises:
        RequestError: They are not.
    """
    if lacking := [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]:
        raise RequestError(
            f"serve: {' and '.join(lacking)} not installed",
            "the extra `serve`",
            "pip install 'trainstack[serve]'",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.split("%", maxsplit=1)[0]).is_loopback
    except ValueError:
        return host == "localhost"
