"""The flags about the confirmation's seeds, shared by `launch` and `confirm`."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from trainstack.search.cli.checks import check_count, duration
from trainstack.spaces.errors import RequestError

# Most seeds of one comparison.
SEEDS = 100
# Fewer seeds than this at first ask for a quick look, to which no seeds are added.
USUAL_MOST, USUAL_FIRST = 40, 5
MOST_PRICE = 100.0

MostReplicates = Annotated[
    int | None,
    typer.Option(
        help="Most fresh seeds of comparisons that are still open; default: 40, or --replicates if "
        "that is below 5."
    ),
]
ConfirmTime = Annotated[
    str | None,
    typer.Option(
        help="Time for seeds beyond --replicates, e.g. 2m; default: half of the search's, at least "
        "20 s."
    ),
]
Simplicity = Annotated[
    str | None,
    typer.Option(
        help="Price of each departure from the default, e.g. 0.5%: recommend the lowest "
        "expected loss; default: 0.5% among stacks shown to beat the default."
    ),
]


def confirmation_of(
    replicates: int, most: int | None, time: str | None, price: str | None
) -> dict[str, Any]:
    """Return the fields of a spec about its confirmation.

    Args:
        replicates: As `--replicates`, checked.
        most: As `--most-replicates`.
        time: As `--confirm-time`.
        price: As `--simplicity`.

    Raises:
        RequestError: A value is out of range.
    """
    usual = USUAL_MOST if replicates >= USUAL_FIRST else replicates
    if most is not None:
        check_count("--most-replicates", most, replicates, SEEDS)
    return {
        "replicates": replicates,
        "most_replicates": max(usual, replicates) if most is None else most,
        "confirm_seconds": None if time is None else duration(time, "--confirm-time "),
        "simplicity": None if price is None else percent(price, "--simplicity"),
    }


def percent(text: str, flag: str) -> float:
    """Read `0.5%` or `0.5` as a number of percent.

    >>> percent("0.5%", "--simplicity"), percent("2", "--simplicity")
    (0.5, 2.0)

    Raises:
        RequestError: The text is not a number from 0 to 100.
    """
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,9})?) ?%?", text.strip())
    if match is None or float(match[1]) > MOST_PRICE:
        raise RequestError(f"{flag} {text!r}", "a percentage from 0 to 100 such as 0.5%")
    return float(match[1])
