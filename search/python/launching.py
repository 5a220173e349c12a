"""`launch`: create or resume a study from a program, and run it to its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainstack.search.python.files import data_file, space_file, stacks_file
from trainstack.search.python.functions import metric_file, network_file
from trainstack.search.python.options import as_words
from trainstack.search.python.progress import Progress
from trainstack.search.python.running import run
from trainstack.search.python.study import Study, on_storage


def input_flags(given: Any) -> Any:
    """Return a mapping of inputs to their columns as `--input` takes it; anything else as it is."""
    if not isinstance(given, Mapping):
        return given
    listed = {name: [of] if isinstance(of, str) else of for name, of in given.items()}
    return [f"{name}={','.join(map(str, columns))}" for name, columns in listed.items()]


# Options that take objects, and how each is written as the command takes it.
OBJECTS = {
    "space": space_file,
    "stacks": stacks_file,
    "metric": metric_file,
    "network": network_file,
    "input": input_flags,
}


def launch(
    data: Any,
    target: str | list[str] | tuple[str, ...] | None = None,
    *,
    detach: bool = False,
    progress: bool | None = None,
    storage: str | None = None,
    **options: Any,
) -> Study:
    """Search for the best stack on some data, confirm it with fresh seeds, and recommend it.

        study = trainstack.launch(houses, target="price", timeout="10m")
        print(study.recommendation)
        prices = study.predict(new_houses)

    This runs the command `launch`, with the same options, checks and guarantees. The same launch
    again resumes the study; a study that is concluded is returned at once. Ctrl-C returns the
    running trials to the queue and raises KeyboardInterrupt. The function may be called from any
    thread, and several studies may run at once.

    Args:
        data: A pandas data frame (its index is left out), a pair of arrays (features [N, …] and
            targets [N]), a mapping of arrays named as in an `.npz` file, a path, or a name such as
            `digits`. Frames and arrays are written below TRAINSTACK_HOME, where local workers
            read them; `share_data=True` gives them to other machines.
        target: Column to predict, for tables; several as a list.
        detach: Create the study and return; workers join with `trainstack worker`.
        progress: Show the progress: redrawn in place in a notebook, else as lines on standard
            error. None: in a notebook only. The lines go to the logger `trainstack` in any case.
        storage: PostgreSQL URL; None: TRAINSTACK_STORAGE, else the embedded database.
        **options: The flags of `launch` by name, with underscores: `trials=40`, `workers=2`,
            `metric="roc_auc"`. A repeatable flag takes a list; `space` also a `Space`, `stacks`
            also a list of `Stack`s, `metric` and `network` also a function, `input` also a mapping
            of names to lists of columns, `valid` and `test` also frames, `class_weight` also a
            mapping, `timeout` also a `timedelta`.

    Returns:
        The study: concluded, or with `detach` just created.

    Raises:
        RequestError: An option or the data is wrong.
        StorageAwayError: The database does not answer.
        StudyError: A study of that name was launched with another request.
        NothingToRecommend: No trial finished.
    """
    from trainstack.search.cli.study_options import study_name
    from trainstack.search.data.several_targets import as_flag

    asked = dict(options)
    for name, written in OBJECTS.items():
        if asked.get(name) is not None:
            asked[name] = written(asked[name])
    for name in ("valid", "test"):
        if asked.get(name) is not None:
            asked[name] = data_file(asked[name])[0]
    column = target if target is None or isinstance(target, str) else as_flag(tuple(target))
    as_words("launch", asked)  # before any file is written
    source, column = data_file(data, column)
    asked["study"] = study_name(asked.get("study"), source)
    words = as_words("launch", {"target": column, "detach": detach or None, **asked})
    study = Study(asked["study"], on_storage(storage))
    shown = Progress.chosen(progress, study.name, study.url)
    try:
        run(["launch", *words, "--", source], storage, shown.say, shown.tick)
    finally:
        shown.close()
    return study
