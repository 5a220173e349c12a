"""`trainstack space …`: list the named spaces, show one as JSON, check a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from trainstack.search.cli.common import AsJson, out, print_json, read_json
from trainstack.spaces.errors import RequestError


@dataclass(frozen=True)
class NamedSpace:
    """A named space.

    Attributes:
        name: Its name.
        about: The question that it asks.
        cost: What a search costs.
    """

    name: str
    about: str
    cost: str


@dataclass(frozen=True)
class SpaceCheck:
    """The check of a space.

    Attributes:
        file: The space's file.
        problems: Each with its path; empty: the space is valid.
    """

    file: str
    problems: Sequence[str]


spaces = typer.Typer(help="List the named spaces, show one as JSON, or check your own.")


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.add_typer(spaces, name="space", no_args_is_help=True)


@spaces.command("list")
def list_spaces(as_json: AsJson = False) -> None:
    """List the named spaces with purpose and cost, and the choices for a space of your own.

    Example: trainstack space list
    """
    from rich.table import Table

    from trainstack.spaces.axes import BUNDLE_AXIS, BUNDLES, CHOICE_AXES, SHAPE_TABLE, UNITS_AXIS
    from trainstack.spaces.space import Space, space_names

    found = [Space.named(name) for name in space_names()]
    if as_json:
        print_json([NamedSpace(s.name, s.about, s.cost) for s in found])
        return
    table = Table(box=None, pad_edge=False)
    for title in ("space", "asks", "costs"):
        table.add_column(title, overflow="fold", no_wrap=title == "space")
    for space in found:
        table.add_row(space.name, space.about, space.cost)
    out().print(table)
    choices = Table(box=None, pad_edge=False)
    choices.add_column("axis", no_wrap=True)
    choices.add_column("choices for a space of your own", overflow="fold")
    for axis, rows in {BUNDLE_AXIS: BUNDLES, UNITS_AXIS: SHAPE_TABLE, **CHOICE_AXES}.items():
        where = " (on an activation)" if axis == "initializer" else ""
        choices.add_row(axis + where, ", ".join(rows))
    out().print()
    out().print(choices)


@spaces.command("show")
def show_space(
    name: Annotated[str, typer.Argument(help="Name of a space.")], as_json: AsJson = False
) -> None:
    """Print a space as the JSON that `space check` and `launch --space` read, with or without
    `--json`.

    Example: trainstack space show quick > mine.json
    """
    from trainstack.spaces.space import Space

    print_json(Space.named(name).to_json())


@spaces.command("check")
def check_space(
    file: Annotated[Path, typer.Argument(help="JSON file with a space.")], as_json: AsJson = False
) -> None:
    """Check a space of your own; print each problem with its path and the violated rule.

    Example: trainstack space check mine.json
    """
    from trainstack.spaces.parsing import problems

    found = problems(read_json(file, "space file"))
    if as_json:
        print_json(SpaceCheck(str(file), found))
    elif not found:
        out().print(f"{file} is a valid space", markup=False)
    if found:
        if len(found) == 1 or as_json:
            raise RequestError(f"{file}: {found[0]}")
        for problem in found[:-1]:
            typer.echo(f"trainstack: {file}: {problem}", err=True)
        raise RequestError(f"{file}: {found[-1]}")
