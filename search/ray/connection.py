"""Connections to a Ray cluster, with errors of one line."""

from __future__ import annotations

import logging
import re
import socket
from typing import Any

from trainstack.spaces.errors import RequestError, StorageAwayError

# Time limit for an address to accept a connection.
KNOCK_SECONDS = 5.0
ATTEMPTS = 2
FORMS = "ray=HOST:PORT on a node of the cluster, ray=ray://HOST:10001 elsewhere, or plain ray"
_START = "start one with `ray start --head`, or name one: --on ray=HOST:PORT"


def ray() -> Any:
    """Return the module `ray`, untyped, as its own types are incomplete."""
    import ray

    return ray


def connect(address: str) -> list[dict[str, Any]]:
    """Connect to a cluster as a driver.

    Args:
        address: `HOST:PORT`, `ray://HOST:PORT`, or empty for the cluster that Ray finds by itself,
            by RAY_ADDRESS or on this machine.

    Returns:
        The living nodes: `host`, `cpus`, `gpus`.

    Raises:
        RequestError: The cluster has another version of Ray, or refuses this machine.
        StorageAwayError: The cluster does not answer.
    """
    knock(address)
    attempts = ATTEMPTS
    while True:
        attempts -= 1
        try:
            ray().init(
                address=address or "auto",
                log_to_driver=False,  # workers' logs are copied as files
                logging_level=logging.ERROR,
            )
            return nodes()
        except Exception as error:
            # Ray's server process for a remote client does not always start.
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
    """Check that an address accepts connections, as Ray itself would try for minutes.

    Raises:
        RequestError: It is not an address.
        StorageAwayError: Nothing listens there.
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
    """Return the error for a cluster that does not answer."""
    where = f"the Ray cluster at {address}" if address else "a Ray cluster"
    return StorageAwayError(f"no answer from {where} ({why})", hint=_START)


def explained(error: Exception, address: str) -> RequestError | StorageAwayError:
    """Convert an error that Ray raised on connecting."""
    message = " ".join(str(error).split())
    if re.search(r"version mismatch|versions? .*mismatch", message, re.IGNORECASE):
        return RequestError(
            f"another version than the Ray cluster's ({_versions(message)})",
            "the same version of Ray and of Python on both sides",
            "install the cluster's here, or the other way round",
        )
    if isinstance(error, ConnectionError):
        return away(address, _first_sentence(message))
    return RequestError(f"the Ray cluster refuses ({_first_sentence(message)})", FORMS)


def aborted(output: str, address: str) -> RequestError | StorageAwayError:
    """Return the error for a driver that Ray ended.

    Args:
        output: The driver's standard error.
        address: Address of the cluster.
    """
    if "Failed to connect to socket" in output and "raylet" in output:
        where = f"the Ray cluster at {address}" if address else "Ray's cluster"
        return RequestError(f"this machine is not a node of {where}", FORMS)
    return away(address, "Ray ended the driver")


def _versions(message: str) -> str:
    """Return the versions of Ray and Python named in a message."""
    found = [
        f"{what} {' and '.join(dict.fromkeys(numbers))}"
        for what in ("Ray", "Python")
        if (numbers := re.findall(rf"{what}:? (?:version )?([0-9]+(?:\.[0-9a-z]+)+)", message))
    ]
    return ", ".join(found) or message


def _first_sentence(message: str) -> str:
    return re.split(r"\. |: Traceback", message, maxsplit=1)[0].rstrip(".") or "no reason given"
