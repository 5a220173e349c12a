"""Whether this machine may run the network in a study: a user's code.

A launch writes the file's text below TRAINSTACK_HOME, and workers of that machine run it. Another
machine runs it when `--trust-network` has been given once for this text.
"""

from __future__ import annotations

from pathlib import Path

from trainstack.search.database.connection import home
from trainstack.search.own_network import OwnNetwork
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError


def trust(network: OwnNetwork | None) -> None:
    """Let workers of this machine run a network.

    Raises:
        RequestError: The home cannot be written.
    """
    if network is not None:
        _write(_trusted(network), network.code)


def check_trust(spec: StudySpec, given: bool) -> str:
    """Return what is about to be run, in words; empty if it is no user's code.

    Args:
        spec: The study.
        given: Whether `--trust-network` is given, which is remembered.

    Raises:
        RequestError: The file is not trusted here; its text is written for reading, and not run.
    """
    network = spec.network
    if network is None:
        return ""
    what = f"{network.name} (sha256 {network.content}…, {len(network.code.splitlines())} lines)"
    if given:
        trust(network)
    place = _trusted(network)
    if not place.is_file() or place.read_text("utf-8") != network.code:
        unread = place.with_name(f"{network.content}.unread.txt")
        _write(unread, network.code)
        raise RequestError(
            f"study '{spec.study}' runs the code of {what}, which is not from this machine",
            "--trust-network",
            f"read it first: {unread}",
        )
    return f"it runs the code of {what}"


def _trusted(network: OwnNetwork) -> Path:
    return home() / "networks" / f"{network.content}.py"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise RequestError(f"{path} cannot be written ({error.strerror})") from None
