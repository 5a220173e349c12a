"""`trainstack claims DATA`: test claims of the chapter on your data with designed experiments."""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainstack.search.cli.common import (
    AsJson,
    Storage,
    err,
    fitting,
    no_url,
    out,
    print_json,
    seconds,
)
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
from trainstack.search.cli.fold_options import ClaimFolds, Repeats, folds_of, kept_folds
from trainstack.search.cli.question import ClassWeight, LossFlag, MetricFlag, Weight
from trainstack.spaces.errors import NothingToRecommend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import URL

    from trainstack.search.data.dataset import Dataset
    from trainstack.search.spec import StudySpec


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(claims)


def claims(
    data: Annotated[str, typer.Argument(help="Name of a data set, or a path.")],
    claim: Annotated[
        list[str] | None,
        typer.Option(
            help="C1 to C26 (repeatable), or all; default: claims that compare two stacks."
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(help="Name of the study; default: claims-DATA-CLAIMS.", callback=no_url),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Maximum epochs per run; default: by the number of rows.")
    ] = None,
    replicates: Annotated[int, typer.Option(help="Fresh seeds: pairs per comparison.")] = 5,
    workers: Annotated[
        int | None, typer.Option(help="Local workers; 0: none; default: one per core, at most 8.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    target: Target = None,
    task: Task = "auto",
    target_transform: TargetTransform = "none",
    metric: MetricFlag = None,
    loss: LossFlag = None,
    class_weight: ClassWeight = None,
    weight: Weight = None,
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
    folds: ClaimFolds = None,
    repeats: Repeats = 1,
    storage: Storage = None,
    as_json: AsJson = False,
) -> None:
    """Test the chapter's claims on your data.

    Each is supported, contradicted, equivalent, or without evidence.

    Each claim's choices are trained with everything else equal: first the learning rate of each is
    tuned on a separate seed, then all run with the same fresh seeds. Repeat the command to resume.

    Example: trainstack claims digits
    """
    from trainstack.search.claims.experiment import asked
    from trainstack.search.claims.table import CLAIMS
    from trainstack.search.cli.checks import MOST_EPOCHS, check_count, known, worker_count
    from trainstack.search.cli.creation import create
    from trainstack.search.cli.question import question
    from trainstack.search.cli.range_test import pinned
    from trainstack.search.cli.watch import work
    from trainstack.search.data.load import load
    from trainstack.search.data.target_transform import TRANSFORMS

    ids = asked(claim or ())
    if epochs is not None:
        check_count("--epochs", epochs, 1, MOST_EPOCHS)
    check_count("--replicates", replicates, 2, 100)
    check_count("--seed", seed, 0, 2**31 - 1)
    known("--target-transform", target_transform, TRANSFORMS)
    count = worker_count(workers)
    overrules = overrules_of(drop, keep, numeric, categorical, date)
    plan = plan_of(group, time, gap, part, valid, test)
    options = {"transform": target_transform, "weight": weight, "plan": plan}
    dataset = load(data, target, task, overrules, **options)
    name = study or _name(data, ids if claim else ())
    divided = folds_of(dataset, 1 if folds is None else folds, repeats, seed, replicates)
    about = question(dataset, metric, loss, class_weight, divided[0], seed)
    spec = replace(_spec(name, dataset, ids, epochs, replicates, seed, divided), **about)
    if not any(CLAIMS[i].testable for i in ids):
        _conclude(spec, [], {}, as_json)  # nothing to train: each states what it would need
        return
    print_notes(dataset, spec.folds)
    if kept := kept_folds(pinned(spec.study, storage), spec, folds):
        divided = kept["folds"], kept["repeats"]
        spec = replace(_spec(name, dataset, ids, epochs, replicates, seed, divided), **about)
    url = create(spec, storage)
    for line in cost_lines(spec, len(dataset.x), max(1, count)):
        err().print(line, markup=False)
    work(url, spec.study, count)
    _gather(url, spec, as_json)


def _name(data: str, ids: Sequence[str]) -> str:
    from trainstack.search.cli.study_options import study_name

    parts = ["all"] if len(ids) > 10 else [i.lower() for i in ids]
    return "-".join(["claims", study_name(None, data), *parts])


def _spec(
    study: str,
    dataset: Dataset,
    ids: tuple[str, ...],
    epochs: int | None,
    replicates: int,
    seed: int,
    divided: tuple[int, int],
) -> StudySpec:
    """Return the spec of a study without a search, whose confirmation is the experiment."""
    from importlib.metadata import version

    from trainstack.search.claims.experiment import constraints
    from trainstack.search.cli.study_options import study_name
    from trainstack.search.plan_length import default_epochs, training_rows
    from trainstack.search.spec import StudySpec
    from trainstack.spaces.references import CHAPTER_DEFAULT
    from trainstack.spaces.space import Space

    folds, repeats = divided
    rows = training_rows(dataset, folds, seed)
    return StudySpec(
        study=study_name(study, dataset.source),
        data=dataset.describe(),
        space=Space.named("chapter").to_json(),
        trials=0,
        epochs=epochs or default_epochs(dataset.task, rows, [CHAPTER_DEFAULT["batch_size"]]),
        replicates=replicates,
        folds=folds,
        repeats=repeats,
        seed=seed,
        constraints=constraints(ids),
        experiment=ids,
        version=version("trainstack"),
    )


def cost_lines(spec: StudySpec, rows: int, workers: int) -> tuple[str, str]:
    """Return lines that estimate the runs of an experiment, and their time.

    Args:
        spec: The spec of the study.
        rows: Number of the data's rows.
        workers: Number of workers on this machine.
    """
    from trainstack.search.claims.experiment import arms, run_counts, seconds_of
    from trainstack.search.cli.local_workers import cores

    found = arms(spec.experiment)
    least, most = run_counts(spec.experiment, spec.replicates)
    shape = rows, spec.data.features, spec.data.outputs, spec.epochs
    mean = sum(seconds_of(arm.stack, *shape) for arm in found) / len(found)
    side_by_side = min(workers, cores())
    low, high = (seconds(n * mean / side_by_side) for n in (least, most))
    size = f"{len(found)} stacks, {least} to {most} runs of at most {spec.epochs} epochs"
    return (
        fitting(*(f"testing {names}: {size}" for names in _in_words(spec.experiment))),
        f"workers here: {workers}, roughly {low} to {high}",
    )


def _in_words(ids: Sequence[str]) -> tuple[str, str]:
    """Return claims by name, of which more than two in a row are a range, and their number."""
    from trainstack.search.claims.table import CLAIMS

    if len(ids) == len(CLAIMS):
        return "all " + (count := f"{len(ids)} claims"), count
    places = enumerate(map([*CLAIMS].index, ids))
    rows = ([ids[k] for k, _ in row] for _, row in groupby(places, lambda it: it[1] - it[0]))
    names = (f"{row[0]} to {row[-1]}" if len(row) > 2 else ", ".join(row) for row in rows)
    return ", ".join(names), f"{len(ids)} claims"


def _gather(url: URL, spec: StudySpec, as_json: bool) -> None:
    from trainstack.search.database.connection import connected
    from trainstack.search.queue import queries

    with connected(url) as here:
        _, runs, measured = queries.evidence(here, spec.study)
    if not any(run.finished for run in runs):
        causes = sorted({run.cause or run.outcome for run in runs}) or ["none began"]
        raise NothingToRecommend(
            f"no run of study '{spec.study}' finished ({causes[0].strip().splitlines()[-1]})",
            "at least one pair",
            f"see `trainstack trials {shlex.quote(spec.study)} --confirmation`",
        )
    _conclude(spec, runs, measured, as_json)


def _conclude(spec: StudySpec, runs: Any, measured: dict[str, Any], as_json: bool) -> None:
    from trainstack.search.claims.findings import findings, text_of

    found = findings(spec, runs, measured)
    if as_json:
        print_json(found)
    else:
        out().print(text_of(found), markup=False)
