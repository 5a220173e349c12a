"""`launch`: its flags; it creates or resumes a study (`creation`) and runs it to its end."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainstack.search.cli.checks import (
    MOST_EPOCHS,
    MOST_TRIALS,
    MOST_WORKERS_UNASKED,
    check_count,
    duration,
    worker_count,
)
from trainstack.search.cli.common import AsJson, Storage, err, no_url
from trainstack.search.cli.confirm_options import (
    ConfirmTime,
    MostReplicates,
    Simplicity,
    confirmation_of,
)
from trainstack.search.cli.creation import create, prepare_artifacts, print_detached
from trainstack.search.cli.data_options import (
    Categorical,
    Date,
    Drop,
    Gap,
    Group,
    Keep,
    Numeric,
    PartColumn,
    Reuse,
    Target,
    TargetTransform,
    Task,
    TestFile,
    Time,
    Unlabelled,
    ValidFile,
    overrules_of,
    plan_of,
    print_notes,
)
from trainstack.search.cli.engine_options import CpusPerWorker, GpusPerWorker, On, reach_engine
from trainstack.search.cli.first_trials import first_trials
from trainstack.search.cli.fold_options import Folds, Repeats, kept_folds, trial_lines
from trainstack.search.cli.local_workers import LocalWorkers
from trainstack.search.cli.own_network import InputFlag, NetworkFlag
from trainstack.search.cli.question import ClassWeight, LossFlag, MetricFlag, Weight
from trainstack.search.cli.report_files import has_report
from trainstack.search.cli.tracking import Track, read_trackers, tracking
from trainstack.search.ray.placement import on_ray

if TYPE_CHECKING:
    from sqlalchemy import URL

    from trainstack.search.cli.ray_workers import RayWorkers
    from trainstack.search.spec import StudySpec


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(launch)


def launch(
    data: Annotated[str, typer.Argument(help="Name of a data set, or a path.")],
    target: Target = None,
    task: Task = "auto",
    study: Annotated[
        str | None, typer.Option(help="Name of the study; default: the data's.", callback=no_url)
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            help="Choices to search: a named space or a file; default: by profile and task."
        ),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="Purpose of the stack: one of the profiles.")
    ] = "default",
    trials: Annotated[int, typer.Option(help="Number of search trials.")] = 40,
    epochs: Annotated[
        int | None, typer.Option(help="Maximum epochs per trial; default: by the number of rows.")
    ] = None,
    timeout: Annotated[str | None, typer.Option(help="Time limit of the search, e.g. 30m.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Local workers; 0: none; default: one per core, at most 8.")
    ] = None,
    on: On = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    replicates: Annotated[int, typer.Option(help="Fresh seeds in the confirmation.")] = 5,
    most_replicates: MostReplicates = None,
    confirm_time: ConfirmTime = None,
    simplicity: Simplicity = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    sampler: Annotated[str, typer.Option(help="Sampler: tpe, tpe-independent or random.")] = "tpe",
    pruner: Annotated[str, typer.Option(help="Pruner: asha, hyperband, median or none.")] = "asha",
    stacks: Annotated[
        Path | None, typer.Option(help="JSON list of stacks to train instead of sampling.")
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(help="Bound on the recommended stack, e.g. 'latency_ms<=1'; repeatable."),
    ] = None,
    range_test: Annotated[
        bool,
        typer.Option("--range-test", help="Narrow the learning rates with a range test first."),
    ] = False,
    precision: Annotated[
        str, typer.Option(help="Precision of training: float32, or mixed (with bfloat16).")
    ] = "float32",
    yardstick: Annotated[
        bool | None,
        typer.Option(help="Compare with gradient boosting; default: if it takes under a minute."),
    ] = None,
    models: Annotated[
        bool,
        typer.Option(help="Also make the models refit, average and ensemble for `export`."),
    ] = True,
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
    unlabelled: Unlabelled = None,
    reuse: Reuse = None,
    folds: Folds = None,
    repeats: Repeats = 1,
    network: NetworkFlag = None,
    inputs: InputFlag = None,
    earlier_studies: Annotated[
        bool,
        typer.Option(
            "--earlier-studies/--no-earlier-studies",
            help="Also start from stacks that concluded studies of this storage recommend.",
        ),
    ] = True,
    track: Track = None,
    share_data: Annotated[
        bool,
        typer.Option("--share-data", help="Upload the data for workers that do not have it."),
    ] = False,
    preview: Annotated[
        bool,
        typer.Option(
            "--preview", help="Try every choice for a few steps, estimate the time, create nothing."
        ),
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Create the study, print how workers join, and return.")
    ] = False,
    storage: Storage = None,
    as_json: AsJson = False,
) -> None:
    """Search for the best stack on your data and recommend it.

    The best stacks are confirmed with fresh seeds; the result says how sure it is. Most studies
    need no flag but --target, for tables; --trials and --timeout set the size of the search.
    Repeat the command to resume the study.

    Example: trainstack launch digits --trials 40 --workers 2
    """
    from trainstack.search.cli.range_test import narrow, pinned
    from trainstack.search.cli.recommend import conclude
    from trainstack.search.cli.study_options import make_spec
    from trainstack.search.studies.network_trust import trust

    _check_counts(trials, epochs, replicates, seed)
    trackers = read_trackers(track, detach)
    place = on_ray(on, cpus_per_worker, gpus_per_worker)
    count = worker_count(workers, here=place is None)
    asked = partial(
        make_spec,
        data=data,
        target=target,
        task=task,
        target_transform=target_transform,
        study=study,
        space=space,
        profile=profile,
        trials=trials,
        epochs=epochs,
        **confirmation_of(replicates, most_replicates, confirm_time, simplicity),
        timeout_seconds=None if timeout is None else duration(timeout, "--timeout "),
        seed=seed,
        sampler=sampler,
        pruner=pruner,
        stacks=stacks,
        overrules=overrules_of(drop, keep, numeric, categorical, date),
        constraints=constraint or (),
        precision=precision,
        yardstick=yardstick,
        models=models,
        metric=metric,
        loss=loss,
        class_weight=class_weight,
        weight=weight,
        plan=plan_of(group, time, gap, part, valid, test),
        unlabelled=unlabelled,
        reuse=reuse,
        network=network,
        inputs=inputs or (),
    )
    spec, loaded = asked(folds=folds, repeats=repeats)
    if preview:
        from trainstack.search.cli.preview import preview as try_out

        print_notes(loaded, spec.folds)
        del loaded
        try_out(spec, count, as_json)
        return
    crew = None if place is None else reach_engine(place, storage)
    local = LocalWorkers(None, spec.study)
    with contextlib.closing(local):
        # Most likely none are needed if there is a report: the database tells.
        early = crew is None and not detach and not has_report(spec.study)
        if early and not range_test:
            _start_early(local, count)
        there = pinned(spec.study, storage)
        if new := there is None:  # on resuming they are known
            print_notes(loaded, spec.folds)
        elif kept := kept_folds(there, spec, folds):
            spec, _ = asked(**kept, loaded=loaded)
        first = first_trials(spec, loaded, storage, earlier_studies) if new else []
        # Kept only to be shared: the memory is for the trainers.
        shared = loaded if share_data else None
        del loaded
        if range_test:
            spec = narrow(spec, storage)
        prepare_artifacts(shared, spec.saved_models)
        del shared
        trust(spec.network)
        if early and range_test:
            _start_early(local, count)
        url = create(spec, storage, first)
        for line in trial_lines(spec, folds):
            err().print(line, markup=False)
        if crew is not None and workers is None:
            count = min(MOST_WORKERS_UNASKED, crew.room)
        if detach:
            if crew is not None:
                _place(crew, url, spec, count)
            print_detached(spec.study, as_json)
            return
        from trainstack.search.cli.watch import work

        with tracking(url, spec.study, trackers):
            work(url, spec.study, count, _joining(local) if crew is None else _starting(crew, spec))
            local.send(signal.SIGINT)  # to those that the study, concluded elsewhere, did not need
            conclude(url, spec.study, as_json)


def _check_counts(trials: int, epochs: int | None, replicates: int, seed: int) -> None:
    """Refuse numbers that are out of range."""
    check_count("--trials", trials, 1, MOST_TRIALS)
    if epochs is not None:
        check_count("--epochs", epochs, 1, MOST_EPOCHS)
    check_count("--replicates", replicates, 0, 100)
    check_count("--seed", seed, 0, 2**31 - 1)


def _start_early(local: LocalWorkers, count: int) -> None:
    """Start workers, which import their libraries while the database is opened.

    Opening it also reports a home that cannot be written.
    """
    with contextlib.suppress(OSError):
        local.keep(count)


def _joining(local: LocalWorkers) -> Callable[[str, str, int], LocalWorkers]:
    """Return the start of workers, which may be running already."""
    return lambda url, study, count: local.join(url, count)


def _starting(crew: RayWorkers, spec: StudySpec) -> Callable[[str, str, int], RayWorkers]:
    """Return the start of workers elsewhere, which may run the network of their own study."""
    return partial(crew.start, flags=("--trust-network",) if spec.network else ())


def _place(crew: RayWorkers, url: URL, spec: StudySpec, count: int) -> None:
    """Place workers on the engine and detach."""
    from trainstack.search.database.connection import exported

    _starting(crew, spec)(exported(url), spec.study, count).placed()
    crew.close()
