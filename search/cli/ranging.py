"""`trainstack range-test DATA`: which learning rates are worth searching on this data."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.common import AsJson, err, out, print_json
from spaces.errors import RequestError

if TYPE_CHECKING:
    from search.ranges import RangeTest
    from search.spec import StudySpec


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("range-test")(range_test)


def range_test(
    data: Annotated[str, typer.Argument(help="Name of a data set, or a path.")],
    optimizer: Annotated[
        list[str] | None, typer.Option(help="Which (repeatable); default: the space's.")
    ] = None,
    space: Annotated[str, typer.Option(help="Named space or JSON file.")] = "chapter",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where the picture (SVG) goes.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict, for tables.")] = None,
    task: Annotated[str, typer.Option(help="auto, classification or regression.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of weights and batches.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Sweep each optimizer's learning rate on your data, and name the range worth searching.

    Smith's sweep: the rate rises while a network trains, until it diverges. And the chapter's
    descent: start high and take a third until it no longer diverges.
    """
    from search.cli.asking import make_spec
    from search.cli.launching import known
    from spaces.optimizers import OPTIMIZERS

    for name in optimizer or ():
        known("--optimizer", name, tuple(OPTIMIZERS))
    spec = make_spec(
        **{"data": data, "target": target, "task": task, "study": "range-test", "space": space},
        **{"profile": "default", "stacks": None, "sampler": "tpe", "pruner": "asha"},
        trials=1,
        seed=seed,
    )
    tests = run_tests(spec, optimizer or list(spec.space["axes"]["optimizer"]))
    if output is not None:
        _draw(tests, data, output)
    if as_json:
        print_json([dataclasses.asdict(test) for test in tests])
        return
    for test in tests:
        stable = "none" if test.stable is None else f"{test.stable:.2g}"
        out().print(
            f"{test.optimizer:<10} {test.low:8.2g} to {test.high:<8.2g} largest stable {stable}",
            markup=False,
        )
    if output is not None:
        out().print(f"picture: {output}", markup=False)


def run_tests(spec: StudySpec, optimizers: Sequence[str]) -> list[RangeTest]:
    """Run range tests in a process of its own, since this one imports no TensorFlow.

    Raises:
        RequestError: They could not be run.
    """
    from search.cli.local import cores
    from search.ranges import RangeTest

    request = {"spec": spec.to_json(), "optimizers": list(optimizers), "threads": cores()}
    err().print(f"range test of {len(optimizers)} optimizers on {spec.data.source}", markup=False)
    done = subprocess.run(
        [sys.executable, "-m", "workers.ranges"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise RequestError(lines[-1].removeprefix("trainstack: "))
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        RangeTest(**{**row, "rates": tuple(row["rates"]), "losses": tuple(row["losses"])})
        for row in found
    ]


def _draw(tests: Sequence[RangeTest], data: str, output: Path) -> None:
    from search.report import ranges

    style = (Path(ranges.__file__).parent / "picture.css").read_text("utf-8")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(ranges.picture(tests, data, style), "utf-8")
    except OSError as error:
        raise RequestError(f"cannot write {output} ({error.strerror})") from None
