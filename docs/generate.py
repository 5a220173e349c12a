"""Generate the reference pages from the tables and the command's registry: `make docs`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from docs.fields import Document
from docs.markdown import code, page, table
from docs.notebook import NOTEBOOK, WALK, notebook
from docs.python_api import python_page
from trainstack.spaces.axes import AXES, BUNDLES, CHOICE_AXES, NUMBER_AXES, SHAPE_TABLE
from trainstack.spaces.choices import Choice, Parameter
from trainstack.spaces.domains import Choices, Domain, Fixed, Range
from trainstack.spaces.portfolio import MEASURED_DEFAULT, portfolio
from trainstack.spaces.profiles import PROFILES, Profile
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES, REGRESSION_FORMS
from trainstack.spaces.shapes import MOST_LAYERS, MOST_UNITS
from trainstack.spaces.space import Space, space_names
from trainstack.spaces.stack import Stack

FOLDER = Path(__file__).parent / "reference"


def stack_page() -> str:
    """Return the reference of a stack's keys."""
    example = json.dumps(CHAPTER_DEFAULT.to_json(), indent=2)
    numbers = table(
        ("key", "range", "default"), [_number(name, p) for name, p in NUMBER_AXES.items()]
    )
    return page(
        "The keys of a stack",
        "A stack is one complete configuration: a flat JSON object. An axis holds the name of a "
        "choice; the choice's numbers are separate keys, `axis.parameter`. Every active key is "
        "required, an unknown key or a value out of range is refused, and numbers of other choices "
        "are dropped. `launch --stacks` reads a list of stacks. This is the chapter's default:",
        f"```json\n{example}\n```",
        "Axes in order: " + ", ".join(map(code, AXES)) + ".",
        "## `units`",
        f"Widths of the hidden layers, first to last: a list of 1 to {MOST_LAYERS} whole numbers "
        f"from 1 to {MOST_UNITS:,}.",
        *(_axis(axis, rows.values()) for axis, rows in CHOICE_AXES.items()),
        "## Numbers",
        "`plan_fraction`: the share of a study's `--epochs` that the stack plans; its schedule is "
        "stretched over this plan.",
        numbers,
        "## Reference stacks",
        "Names that `launch --stacks` accepts instead of an object. Every search trains "
        "`chapter-default` and `trainstack-default` first. The table lists their differences from "
        "the chapter's default.",
        table(("name", "differs in"), [_reference(n, s) for n, s in REFERENCES.items()]),
        "Forms for regressions:",
        table(("name", "differs in"), [_reference(n, s) for n, s in REGRESSION_FORMS.items()]),
        "## Portfolio",
        "The stacks that a search trains next if its space offers their choices, in this order. "
        "`trainstack-default` is the first of them. [Where they come from](../atlas.md).",
        *(_portfolio(task) for task in ("classification", "regression")),
    )


def _portfolio(task: str) -> str:
    rows = [_reference(*row) for row in portfolio(task) if row[0] != MEASURED_DEFAULT]
    return f"For {task}:\n\n{table(('label', 'differs from the chapter in'), rows)}"


def _axis(axis: str, rows: Iterable[Choice]) -> str:
    """Return the section of an axis: its choices, each with its numbers."""
    paired = axis == "activation"
    titles = ("choice", "what it is", *(["initializers"] if paired else []), "numbers")
    body = []
    for row in rows:
        pairing = [", ".join(map(code, row.initializers))] if paired else []  # type: ignore[attr-defined]
        numbers = "<br>".join(" · ".join(_number(f"{axis}.{p.name}", p)) for p in row.parameters)
        body.append((code(row.name), row.about, *pairing, numbers or "–"))
    heading = f"## `{axis}`"
    if any(row[-1] != "–" for row in body):
        heading += "\n\nNumbers: key · range · default."
    return f"{heading}\n\n{table(titles, body)}"


def _number(key: str, p: Parameter) -> tuple[str, str, str]:
    kind = "whole, " if p.integer else ""
    return code(key), f"{kind}{p.low:g} to {p.high:g}", f"{p.default:.6g}"


def _reference(name: str, stack: Stack) -> tuple[str, str]:
    default = CHAPTER_DEFAULT.to_json()
    items = stack.to_json().items()
    shown = ", ".join(code(f"{k}: {v}") for k, v in items if default.get(k) != v)
    return code(name), shown or "nothing"


def _searched(profile: Profile) -> str:
    spaces = code(profile.space)
    if (other := profile.regression_space) is not None:
        spaces += f"; for a regression {code(other)}"
    return spaces


def spaces_page() -> str:
    """Return the reference of the named spaces."""
    profiles = table(
        ("profile", "purpose", "searches", "compared with"),
        [(code(p.name), p.about, _searched(p), code(p.default)) for p in PROFILES.values()],
    )
    return page(
        "The named spaces",
        "A space defines the stacks that may be tried. `trainstack space show NAME` prints one as "
        "the JSON file that `launch --space FILE` reads and `space check FILE` checks; start your "
        "own space from a copy. An axis that a space leaves out is `none`, `plain` or its default. "
        "Ranges marked `log` are drawn on a logarithmic scale. If a space has both bundles, the "
        "bundle is drawn first: "
        + "; ".join(f"{code(name)}: {about}" for name, about in BUNDLES.items())
        + ".",
        "## Profiles",
        profiles,
        "## Shapes",
        "How a space draws `units`.",
        table(("shape", "what it is"), [(code(s.name), s.about) for s in SHAPE_TABLE.values()]),
        *(_space(Space.named(name)) for name in space_names()),
    )


def _space(space: Space) -> str:
    shown = space.to_json()["axes"]
    rows = [
        (code(axis), "<br>".join(_arm(arm, parameters) for arm, parameters in arms.items()))
        for axis, arms in space.arms.items()
        if axis in shown
    ]
    rows += [(code(axis), _domain(d)) for axis, d in space.numbers.items() if axis in shown]
    return f"## `{space.name}`\n\n{space.about} {space.cost}\n\n{table(('axis', 'values'), rows)}"


def _arm(arm: str, parameters: dict[str, Domain] | Any) -> str:
    numbers = "; ".join(f"{name} {_domain(domain)}" for name, domain in parameters.items())
    return code(arm) + (f" ({numbers})" if numbers else "")


def _domain(domain: Domain) -> str:
    match domain:
        case Range(low, high, log):
            return f"{low:g} to {high:g}" + (", log" if log else "")
        case Choices(values):
            return " or ".join(_value(v) for v in values)
        case Fixed(value):
            return _value(value)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


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
    "interrupted by Ctrl-C, `kill` or a closing terminal, reported in one line; trials were given "
    "back, the study can be resumed. A view (`watch`, `logs --follow`, …) left with Ctrl-C also "
    "exits with this code: the study continues"
)


def _exit_codes() -> list[tuple[str, str]]:
    from trainstack.search.cli.main import INTERRUPTED
    from trainstack.spaces.errors import (
        NothingToRecommend,
        RequestError,
        StorageAwayError,
        StudyError,
    )

    meanings = [(0, "done")]
    for kind in (RequestError, StorageAwayError, StudyError, NothingToRecommend):
        meanings.append((kind.exit_code, (kind.__doc__ or "").rstrip(".")))
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


def json_page() -> str:
    """Return the reference of the JSON documents."""
    from docs.documents import DOCUMENTS

    return page(
        "JSON documents",
        "With `--json` a verb prints one document on standard output and nothing else; with "
        "`--follow`, one document per line. In a path a dot enters an object and `[]` a list. "
        "Numbers that are not finite are null. Fields may be added; existing ones stay.",
        *(_document(document) for document in DOCUMENTS),
    )


def _document(document: Document) -> str:
    """Return the section of a document: its fields, each list together with its items."""
    rows = []
    kinds = {field.path: field.kind for field in document.fields}
    for field in (f for f in document.fields if f.about or not f.path.endswith("[]")):
        items = kinds.get(f"{field.path}[]")
        kind = field.kind.replace("list", f"list (each: {items})") if items else field.kind
        about = field.about[:1].upper() + field.about[1:]
        rows.append((code(field.path), kind + (", if any" if field.sometimes else ""), about))
    heading = ", ".join(map(code, document.verbs))
    return f"## {heading}\n\n{document.about}\n\n{table(('field', 'kind', 'what it is'), rows)}"


def claims_page() -> str:
    """Return the reference of the chapter's claims."""
    from docs.claims import ABOUT, rows

    return page("The chapter's claims", ABOUT, table(("id", "claim", "comparison"), rows()))


PAGES: dict[str, Callable[[], str]] = {
    "stack.md": stack_page,
    "spaces.md": spaces_page,
    "cli.md": cli_page,
    "json.md": json_page,
    "claims.md": claims_page,
    "python.md": python_page,
}


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), "utf-8")
    NOTEBOOK.write_text(notebook(WALK.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
