"""The reference page of the command line."""

from __future__ import annotations

from typing import Any

from docs.markdown import code, page, table


def cli_page() -> str:
    """Return the reference of the command line."""
    import typer

    from trainstack.search.cli.main import app
    from trainstack.search.database.connection import ARTIFACTS, HOME, STORAGE

    root = typer.main.get_command(app)
    environment = [
        (STORAGE, "PostgreSQL URL; `--storage` overrides it; the embedded PostgreSQL if unset"),
        (HOME, "embedded database, artifacts, logs; the platform's user data folder if unset"),
        (
            ARTIFACTS,
            "checkpoints, models, reports, shared data: a folder that all workers see, or "
            "`s3://bucket/prefix`; inside the home if unset",
        ),
        ("TRAINSTACK_DATA", "folder with the files of named data sets, one folder for each"),
    ]
    return page(
        "The command line",
        "Results are written to standard output, progress and notes to standard error. An error is "
        "one line on standard error: the problem, the expected value, and a hint.",
        table(("exit code", "meaning"), _exit_codes()),
        table(("variable", "meaning"), [(code(name), about) for name, about in environment]),
        *(_verb(name, verb) for name, verb in verbs(root)),
        *_names(),
    )


def _names() -> list[str]:
    """Return the sections about names that flags accept."""
    from trainstack.search.data.catalogue import DATASETS
    from trainstack.search.sampling.pruning import PRUNERS
    from trainstack.search.sampling.samplers import SAMPLERS

    tables: dict[str, Any] = {
        "Data sets by name": DATASETS,
        "Samplers (`--sampler`)": SAMPLERS,
        "Pruners (`--pruner`)": PRUNERS,
    }
    named = [
        f"## {title}\n\n"
        + table(("name", "what it is"), [(code(name), row.about) for name, row in rows.items()])
        for title, rows in tables.items()
    ]
    return [*named, _metrics(), _losses()]


def _metrics() -> str:
    """Return the section about metrics."""
    from trainstack.search.metrics.table import METRICS

    rows = [
        (code(row.name), row.task, "higher" if row.rises else "lower", row.about)
        for row in METRICS.values()
    ]
    return "## Metrics (`--metric`)\n\n" + table(("name", "task", "better", "what it is"), rows)


def _losses() -> str:
    """Return the section about losses, with the metrics that they suit."""
    from trainstack.search.metrics.losses import LOSSES
    from trainstack.search.metrics.table import METRICS, USUAL_LOSS

    suits = {name: [] for name in LOSSES}
    for row in METRICS.values():
        suits[row.loss or USUAL_LOSS[row.task]].append(code(row.name))
    rows = [
        (code(row.name), row.task, row.about, ", ".join(suits[row.name]) or "–")
        for row in LOSSES.values()
    ]
    titles = ("name", "task", "what it is", "default for")
    return "## Losses (`--loss`)\n\n" + table(titles, rows)


INTERRUPTION = (
    "interrupted by Ctrl-C, `kill` or a closing terminal; running trials were given back, and the "
    "study can be resumed. A view (`watch`, `logs --follow`, …) that is left with Ctrl-C exits "
    "with this code, too, and the study continues"
)


def _exit_codes() -> list[tuple[str, str]]:
    from trainstack.search.cli.main import INTERRUPTED
    from trainstack.spaces.errors import (
        NothingToRecommend,
        RequestError,
        StorageAwayError,
        StudyError,
    )

    meanings = [
        (0, "done"),
        (1, "`replay`: the curves differ; other verbs: a process that they started failed"),
    ]
    for kind in (RequestError, StorageAwayError, StudyError, NothingToRecommend):
        about = (kind.__doc__ or "").rstrip(".")
        meanings.append((kind.exit_code, about[:1].lower() + about[1:]))
    meanings.append((INTERRUPTED, INTERRUPTION))
    return [(str(number), meaning) for number, meaning in meanings]


def verbs(command: Any, prefix: str = "trainstack") -> list[tuple[str, Any]]:
    """Return every verb of the command and of its groups, with its full name."""
    found = []
    for name, verb in command.commands.items():
        full = f"{prefix} {name}"
        found += verbs(verb, full) if hasattr(verb, "commands") else [(full, verb)]
    return found


def _verb(name: str, verb: Any) -> str:
    flags = [p for p in verb.params if p.name != "help"]
    usage = " ".join([name, *(_usage(p) for p in flags if not _is_option(p))])
    rows = [(_flag(p), p.help or "", _default(p)) for p in flags]
    about = " ".join((verb.help or "").split())
    section = f"## `{usage} [flags]`\n\n{about}"
    return f"{section}\n\n{table(('flag', 'meaning', 'default'), rows)}" if rows else section


def _is_option(parameter: Any) -> bool:
    return parameter.opts[0].startswith("-")


def _usage(argument: Any) -> str:
    shown = argument.name.upper()
    return shown if argument.required else f"[{shown}]"


def _flag(parameter: Any) -> str:
    if not _is_option(parameter):
        return code(parameter.name.upper())
    kind = getattr(parameter.type_descriptor.annotation, "__name__", "")
    takes = (
        ""
        if parameter.is_flag
        else " " + {"int": "N", "float": "X", "Path": "PATH"}.get(kind, "TEXT")
    )
    return ", ".join(
        code(option + takes) for option in [*parameter.opts, *parameter.secondary_opts]
    )


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    none = parameter.default is None or parameter.default is False or parameter.default == []
    return "–" if none else code(parameter.default)
