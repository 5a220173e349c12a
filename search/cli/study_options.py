"""Build a study's spec from flags; everything is checked before anything is changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.search.cli.common import read_json
from trainstack.search.spec import PRECISIONS, StudySpec
from trainstack.spaces.errors import RequestError
from trainstack.spaces.for_data import fitted, with_reused
from trainstack.spaces.network_space import put_into
from trainstack.spaces.profiles import PROFILES
from trainstack.spaces.references import read_stacks
from trainstack.spaces.space import Space, space_names

if TYPE_CHECKING:
    from trainstack.search.data.dataset import Dataset
    from trainstack.search.data.overrules import Overrules
    from trainstack.search.data.split_plan import SplitPlan


def make_spec(
    *,
    data: str,
    target: str | None,
    task: str,
    target_transform: str = "none",
    study: str | None,
    space: str | None,
    profile: str,
    stacks: Path | None,
    sampler: str,
    pruner: str,
    trials: int,
    overrules: Overrules,
    epochs: int | None = None,
    constraints: Sequence[str] = (),
    precision: str = "float32",
    metric: str | None = None,
    loss: str | None = None,
    class_weight: str | None = None,
    weight: str | None = None,
    plan: SplitPlan,
    unlabelled: str | None = None,
    reuse: str | None = None,
    folds: int | None = 1,
    repeats: int = 1,
    seed: int = 0,
    replicates: int = 5,
    most_replicates: int = 0,
    network: str | None = None,
    inputs: Sequence[str] = (),
    loaded: Dataset | None = None,
    **rest: Any,
) -> tuple[StudySpec, Dataset]:
    """Check the flags of a launch and load its data.

    Args:
        overrules: What the user says about a table's columns.
        plan: How a table's rows become parts.
        unlabelled: As `--unlabelled`; likewise `reuse`.
        folds: As `--folds`; likewise `repeats`.
        network: As `--network`; likewise `inputs`, as `--input`.
        loaded: The data of these flags, if it is loaded already.
        metric: As `--metric`; likewise `loss`, `class_weight` and `weight`.

    Returns:
        The spec, and the data as loaded.

    Raises:
        RequestError: A flag or the data is unknown, unreadable or impossible.
    """
    from trainstack.search.cli.checks import known
    from trainstack.search.cli.fold_options import folds_of
    from trainstack.search.cli.own_network import look_at, tell
    from trainstack.search.cli.question import question
    from trainstack.search.data.load import load
    from trainstack.search.data.target_transform import TRANSFORMS
    from trainstack.search.evidence.constraints import read_all
    from trainstack.search.plan_length import batch_sizes, default_epochs, training_rows
    from trainstack.search.reused import check_reuse, read_reused
    from trainstack.search.sampling.pruning import PRUNERS
    from trainstack.search.sampling.samplers import SAMPLERS

    known("--profile", profile, tuple(PROFILES))
    known("--sampler", sampler, tuple(SAMPLERS))
    known("--pruner", pruner, tuple(PRUNERS))
    known("--precision", precision, PRECISIONS)
    known("--target-transform", target_transform, TRANSFORMS)
    bounds = read_all(constraints)
    asked_space = None if space is None else read_space_flag(space)
    document = None if stacks is None else read_json(stacks, "stacks file")
    name = study_name(study, data)
    dataset = loaded or load(
        *(data, target, task, overrules),
        transform=target_transform,
        weight=weight,
        plan=plan,
        unlabelled=unlabelled,
    )
    folds, repeats = folds_of(dataset, folds, repeats, seed, max(replicates, most_replicates))
    given = () if document is None else read_stacks(document, dataset.task, own=network is not None)
    asked = question(dataset, metric, loss, class_weight, folds, seed)
    rows = training_rows(dataset, folds, seed)
    searched = asked_space or usual_space(profile, dataset.task, network)
    if searched.name in space_names():  # a user's own space stays as it is
        most, by_loss = max(dataset.inputs.categories, default=0), not asked["metric"]
        searched = fitted(searched, rows, dataset.task, dataset.inputs.numbers, most, by_loss)
    if reuse is not None and network is not None:
        raise RequestError(f"--reuse {reuse} with --network", "one of them")
    reused = None if reuse is None else read_reused(reuse, dataset.features)
    if reused is not None:
        searched = with_reused(searched, reused.layers)
    check_reuse(reused, searched, given)
    described = dataset.describe()
    if inputs and network is None:
        raise RequestError(f"--input {inputs[0]} without --network", "a network of your own")
    looked = None if network is None else look_at(network, dataset, described.outputs, inputs)
    if looked is not None:
        searched = looked.space(searched)
        given = tuple(put_into(stack, looked.numbers) for stack in given)
        if precision != PRECISIONS[0]:
            raise RequestError(f"--precision {precision} with --network", PRECISIONS[0])
        if loaded is None:
            tell(looked)
    if epochs is None:
        epochs = default_epochs(dataset.task, rows, batch_sizes(searched, given))
    spec = StudySpec(
        study=name,
        data=described,
        space=searched.to_json(),
        profile=profile,
        trials=len(given) or trials,
        epochs=epochs,
        stacks=given,
        sampler=sampler,
        pruner=pruner,
        constraints=tuple(str(bound) for bound in bounds),
        precision=precision,
        version=version("trainstack"),
        folds=folds,
        repeats=repeats,
        reused=reused,
        seed=seed,
        replicates=replicates,
        most_replicates=most_replicates,
        network=None if looked is None else looked.network,
        **asked,
        **rest,
    )
    return spec, dataset


def usual_space(profile: str, task: str, network: str | None) -> Space:
    """Return the space of a launch that names none.

    That for a regression was measured with dense layers on tables, and not with a user's network.
    """
    row = PROFILES[profile]
    return Space.named(row.space if network is not None else row.space_for(task))


def read_space_flag(text: str) -> Space:
    """Return a named space, or a space read from a file."""
    if text in space_names():
        return Space.named(text)
    if text.endswith(".json") or "/" in text or Path(text).exists():
        return Space.read(text)
    return Space.named(text)  # raises, with the nearest name as hint


def study_name(study: str | None, data: str) -> str:
    """Return the study's name: as given, else made from the data's name.

    Raises:
        RequestError: The name is not valid.
    """
    name = study if study is not None else _named_by(data)
    # Other verbs would take `-x` for a flag, and `x.keras` for the file of a model.
    is_word = re.fullmatch(r"[\w.+][\w .+-]{0,99}", name) and name not in (".", "..")
    if not is_word or name.endswith(".keras"):
        raise RequestError(
            f"study name {name!r}",
            "1 to 100 letters, digits, spaces and . _ + -, no leading space or -, no .keras at the "
            "end",
        )
    return name


def _named_by(data: str) -> str:
    """Return a study name made from a data set's name or path.

    >>> _named_by("data/train (1).csv"), _named_by("Übung #3, final.csv")
    ('train 1', 'Übung 3 final')
    """
    name = Path(data).name.split(".")[0] or data
    return " ".join(re.sub(r"[^\w .+-]", " ", name).split()).lstrip("- ")[:100].strip() or "data"
