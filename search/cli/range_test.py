"""`trainstack range-test DATA`: find the learning rates worth searching on this data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainstack.search.cli.common import AsJson, err, out, print_json
from trainstack.search.cli.common import storage as reach
from trainstack.search.cli.data_options import (
    Categorical,
    Date,
    Drop,
    Gap,
    Group,
    Keep,
    Numeric,
    PartColumn,
    Target,
    TargetTransform,
    Task,
    TestFile,
    Time,
    ValidFile,
    overrules_of,
    plan_of,
    print_notes,
)
from trainstack.search.cli.question import ClassWeight, LossFlag, Weight
from trainstack.search.cli.worker_request import answers
from trainstack.spaces.errors import RequestError, StudyError

if TYPE_CHECKING:
    from trainstack.search.lr_range_test import RangeTest
    from trainstack.search.spec import StudySpec


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("range-test")(range_test)


def range_test(
    data: Annotated[str, typer.Argument(help="Name of a data set, or a path.")],
    optimizer: Annotated[
        list[str] | None, typer.Option(help="Optimizer to test (repeatable); default: the space's.")
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="Named space or JSON file; default: that of a launch.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File for the picture (HTML).")
    ] = None,
    target: Target = None,
    task: Task = "auto",
    target_transform: TargetTransform = "none",
    drop: Drop = None,
    keep: Keep = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    date: Date = None,
    group: Group = None,
    time: Time = None,
    gap: Gap = None,
    part: PartColumn = None,
    valid: ValidFile = None,
    test: TestFile = None,
    loss: LossFlag = None,
    class_weight: ClassWeight = None,
    weight: Weight = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights and batches.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Find the learning rates worth searching, for each optimizer.

    Smith's sweep raises the rate while a network trains, until it diverges. The chapter's descent
    starts high and divides the rate by three until training no longer diverges.

    Example: trainstack range-test digits --optimizer nadam -o rates.html
    """
    from trainstack.search.cli.checks import known
    from trainstack.search.cli.study_options import make_spec
    from trainstack.spaces.optimizers import OPTIMIZERS

    for name in optimizer or ():
        known("--optimizer", name, tuple(OPTIMIZERS))
    spec, dataset = make_spec(
        data=data,
        target=target,
        task=task,
        study="range-test",
        space=space,
        profile="default",
        stacks=None,
        sampler="tpe",
        pruner="asha",
        target_transform=target_transform,
        overrules=overrules_of(drop, keep, numeric, categorical, date),
        loss=loss,
        class_weight=class_weight,
        weight=weight,
        plan=plan_of(group, time, gap, part, valid, test),
        trials=1,
        seed=seed,
    )
    print_notes(dataset)
    del dataset  # the tests load it in their own process
    console, tests = err() if as_json else out(), []
    for done in run_tests(spec, optimizer or list(spec.space["axes"]["optimizer"])):
        console.print(_line(done), markup=False)
        tests.append(done)
    if output is not None:
        _draw(tests, data, output)
        console.print(f"picture: {output}", markup=False)
    if as_json:
        print_json(tests)


def narrow(spec: StudySpec, storage: str | None) -> StudySpec:
    """Narrow each optimizer's learning rates to the range that a test on the data finds useful.

    An existing study of that name that was narrowed keeps its ranges without another test.

    Raises:
        RequestError: There is nothing to narrow, or the tests cannot run.
    """
    from trainstack.search import lr_range_test

    if spec.stacks:
        raise RequestError("--range-test with --stacks", "one of them: stacks name their rates")
    optimizers = lr_range_test.searched(spec.space)
    if not optimizers:
        raise RequestError(
            f"--range-test with space '{spec.space['name']}'",
            "an optimizer whose learning_rate has low and high",
        )
    there = pinned(spec.study, storage)
    if there is None:
        tests = []
        for test in run_tests(spec, optimizers):
            err().print(_line(test), markup=False)
            tests.append(test)
        return dataclasses.replace(spec, space=lr_range_test.narrowed(spec.space, tests))
    if lr_range_test.is_narrowed(there.space, spec.space):
        return dataclasses.replace(spec, space=there.space)
    # A different study: its creation reports the differences.
    return dataclasses.replace(spec, space=lr_range_test.narrowed(spec.space, []))


def pinned(study: str, storage: str | None) -> StudySpec | None:
    """Return the spec with which a study was created; None if there is no such study."""
    from trainstack.search.queue import queries

    with reach(storage) as (_, engine):
        try:
            return queries.spec_of(engine, study)
        except StudyError:
            return None


def run_tests(spec: StudySpec, optimizers: Sequence[str]) -> Iterator[RangeTest]:
    """Run range tests in a separate process and yield each when it is done.

    Raises:
        RequestError: The tests cannot run.
    """
    from trainstack.search.cli.local_workers import cores
    from trainstack.search.lr_range_test import RangeTest

    request = {"spec": spec.to_json(), "optimizers": list(optimizers), "threads": cores()}
    err().print(f"range test of {len(optimizers)} optimizers on {spec.data.source}", markup=False)
    for row in answers("trainstack.workers.tasks.lr_range_test", request):
        yield RangeTest(**{**row, "rates": tuple(row["rates"]), "losses": tuple(row["losses"])})


def _line(test: RangeTest) -> str:
    stable = "none" if test.stable is None else f"{test.stable:.2g}"
    return f"{test.optimizer:<10} {test.low:8.2g} to {test.high:<8.2g} largest stable {stable}"


def _draw(tests: Sequence[RangeTest], data: str, output: Path) -> None:
    from trainstack.search.report import figures, ranges

    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(figures.html(ranges.picture(tests, data), "rates", script=True), "utf-8")
    except OSError as error:
        raise RequestError(f"cannot write {output} ({error.strerror})") from None
