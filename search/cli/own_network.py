"""`--network`: a user's own network, looked at in a process with TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from trainstack.search.cli.common import err

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trainstack.search.data.dataset import Dataset
    from trainstack.search.own_network import OwnNetwork
    from trainstack.spaces.own_numbers import OwnNumber
    from trainstack.spaces.space import Space

NetworkFlag = Annotated[
    str | None,
    typer.Option("--network", help="Your own network: FILE.py:FUNCTION; default: dense layers."),
]
InputFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        help="Input of your own network: NAME=COLUMN,COLUMN of a table. Repeatable; the other "
        "columns are the input `rest`.",
    ),
]


@dataclass(frozen=True)
class LookedAt:
    """A user's network and what it is.

    Attributes:
        network: The network, with the shapes of its inputs.
        numbers: Its own numbers by name.
        has_head: Whether the stack makes its last layer.
        voids: Why it cannot be self-normalizing; empty: it can.
    """

    network: OwnNetwork
    numbers: Mapping[str, OwnNumber]
    has_head: bool
    voids: str

    def space(self, space: Space) -> Space:
        """Return a space with the network's numbers, without what it leaves no choice of."""
        from trainstack.spaces.network_space import for_network

        return for_network(space, self.numbers, self.has_head, self.voids)

    def lines(self) -> list[str]:
        """Return what a user should know, in sentences."""
        network, count = self.network, len(self.numbers)
        shapes = ", ".join(
            f"{name} {' × '.join(map(str, shape))}" for name, shape in network.inputs
        )
        own = f"{count} number{'s' if count != 1 else ''} of its own"
        lines = [f"network {network.name}: {shapes}; {own}"]
        lines += [f"  {line}" for line in numbers_told(self.numbers)]
        if self.voids:
            lines.append(f"It has {self.voids}, so it cannot be self-normalizing.")
        if network.fit:
            lines.append(f"It has {network.fit}, so Keras's fit trains it, which is slower.")
        return lines


def numbers_told(numbers: Mapping[str, OwnNumber]) -> list[str]:
    """Return one line for each number of a network: its values, and when it is asked for."""
    from trainstack.spaces.domains import Range

    lines = []
    for name, number in numbers.items():
        domain = number.domain
        if isinstance(domain, Range):
            values = f"{domain.low:g} to {domain.high:g}{' on a log scale' if domain.log else ''}"
        else:
            values = ", ".join(map(str, number.to_json()["choices"]))
        when = " and ".join(
            f"{other} is {' or '.join(map(str, kept))}" for other, kept in number.when.items()
        )
        lines.append(f"network.{name}: {values}{f', when {when}' if when else ''}")
    return lines


def look_at(text: str, dataset: Dataset, outputs: int, columns: Sequence[str] = ()) -> LookedAt:
    """Read `--network` and build the network once for each of its choices.

    Args:
        text: `FILE.py:FUNCTION`.
        dataset: The loaded data.
        outputs: Width of the network's output.
        columns: The values of `--input`.

    Raises:
        RequestError: The file, an input or the network is wrong.
    """
    from trainstack.search.cli.worker_request import answers
    from trainstack.search.data.own_inputs import inputs_of
    from trainstack.search.own_network import OwnNetwork, read_network
    from trainstack.spaces.own_numbers import read_numbers

    inputs = inputs_of(dataset, columns)
    network = replace(read_network(text), inputs=inputs.shapes, places=inputs.places)
    request = {"network": network.to_json(), "outputs": outputs}
    (found,) = answers("trainstack.workers.tasks.own_network", request)
    numbers = read_numbers(found["numbers"])
    more = {key: found[key] for key in ("fit", "defines", "eager", "files")}
    network = OwnNetwork.from_json({**network.to_json(), **more})
    return LookedAt(network, numbers, found["has_head"], found["voids"])


def tell(looked: LookedAt) -> None:
    """Print what a user should know about the network on standard error."""
    for line in looked.lines():
        err().print(line, markup=False)
