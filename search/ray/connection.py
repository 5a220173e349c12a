"""Reaching a Ray cluster, and saying in one line why not."""

from __future__ import annotations

import logging
import re
import socket
from typing import Any

from trainstack.spaces.errors import RequestError, StorageAwayError

# How long an address may take to accept a connection.
KNOCK_SECONDS = 5.0
ATTEMPTS = 2
FORMS = "ray=HOST:PORT on a node of the cluster, ray=ray://HOST:10001 elsewhere, or plain ray"
_START = "start one with `ray start --head`, or name one: --on ray=HOST:PORT"


def ray() -> Any:
    """Return Ray's module, whose own types say too little of what it makes."""
    import ray

    return ray


def connect(address: str) -> list[dict[str, Any]]:
    """Become a driver of a cluster.

    Args:
        address: `HOST:PORT`, `ray://HOST:PORT`, or empty: the cluster that Ray finds by itself, by
            RAY_ADDRESS or on this machine.

    Returns:
        Its living nodes: `host`, `cpus`, `gpus`.

    Raises:
        RequestError: Ray is of another version than the cluster's, or must not be used from here.
        StorageAwayError: Nothing answers there.
    """
    knock(address)
    attempts = ATTEMPTS
    while True:
        attempts -= 1
        try:
            ray().init(
                address=address or "auto",
                log_to_driver=False,  # the workers' logs come by files
                logging_level=logging.ERROR,
            )
            return nodes()
        except Exception as error:
            # The process that Ray starts for a client from elsewhere does not always come up.
            if not attempts or not address.startswith("ray://"):
                raise explained(error, address) from None


def nodes() -> list[dict[str, Any]]:
    """Return the cluster's living nodes."""
    return [
        {
            "host": node["NodeManagerHostname"],
            "cpus": node["Resources"].get("CPU", 0.0),
            "gpus": node["Resources"].get("GPU", 0.0),
        }
        for node in ray().nodes()
        if node["Alive"]
    ]


def knock(address: str) -> None:
    """See whether anything listens at an address: Ray itself would try for minutes.

    Raises:
        RequestError: It is no address.
        StorageAwayError: Nothing does.
    """
    if not address or address == "auto":
        return
    match = re.fullmatch(r"(?:ray://)?(?:\[([0-9a-fA-F:]+)\]|([^:/\[\]]+)):([0-9]{1,5})", address)
    if match is None or not 0 < int(match[3]) < 65536:
        raise RequestError(f"--on ray={address}", FORMS)
    try:
        socket.create_connection((match[1] or match[2], int(match[3])), KNOCK_SECONDS).close()
    except OSError as error:
        raise away(address, error.strerror or str(error)) from None


def away(address: str, why: str) -> StorageAwayError:
    """Return the error that says that a cluster does not answer."""
    where = f"the Ray cluster at {address}" if address else "a Ray cluster"
    return StorageAwayError(f"no answer from {where} ({why})", hint=_START)


def explained(error: Exception, address: str) -> RequestError | StorageAwayError:
    """Return the error of ours that stands for one of Ray's at the start."""
    said = " ".join(str(error).split())
    if re.search(r"version mismatch|versions? .*mismatch", said, re.IGNORECASE):
        return RequestError(
            f"another version than the Ray cluster's ({_versions(said)})",
            "the same version of Ray and of Python on both sides",
            "install the cluster's here, or the other way round",
        )
    if isinstance(error, ConnectionError):
        return away(address, _first_sentence(said))
    return RequestError(f"the Ray cluster refuses ({_first_sentence(said)})", FORMS)


def aborted(said: str, address: str) -> RequestError | StorageAwayError:
    """Return the error that stands for what a driver said that Ray ended.

    Args:
        said: Its standard error.
        address: What it was to reach.
    """
    if "Failed to connect to socket" in said and "raylet" in said:
        where = f"the Ray cluster at {address}" if address else "Ray's cluster"
        return RequestError(f"this machine is no node of {where}", FORMS)
    return away(address, "Ray ended the driver")


def _versions(said: str) -> str:
    """Return the two versions of Ray and of Python that a message names."""
    found = [
        f"{what} {' and '.join(dict.fromkeys(numbers))}"
        for what in ("Ray", "Python")
        if (numbers := re.findall(rf"{what}:? (?:version )?([0-9]+(?:\.[0-9a-z]+)+)", said))
    ]
    return ", ".join(found) or said


def _first_sentence(said: str) -> str:
    return re.split(r"\. |: Traceback", said, maxsplit=1)[0].rstrip(".") or "no reason given"
