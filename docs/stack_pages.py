"""The reference pages of a stack's keys and of the named spaces."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from docs.markdown import code, page, table
from trainstack.spaces.axes import AXES, BUNDLES, CHOICE_AXES, NUMBER_AXES, SHAPE_TABLE
from trainstack.spaces.choices import Choice, Parameter
from trainstack.spaces.domains import Choices, Domain, Fixed, Range
from trainstack.spaces.portfolio import MEASURED_DEFAULT, portfolio
from trainstack.spaces.profiles import PROFILES, Profile
from trainstack.spaces.references import (
    CHAPTER_DEFAULT,
    CLASSICS,
    REFERENCES,
    REGRESSION_FORMS,
)
from trainstack.spaces.shapes import MOST_LAYERS, MOST_UNITS
from trainstack.spaces.space import Space, space_names
from trainstack.spaces.stack import Stack


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
        "`chapter-default` and `trainstack-default` first; one of your own network trains "
        "`chapter-default` first. The table lists their differences from the chapter's default.",
        table(("name", "differs in"), [_reference(n, s) for n, s in REFERENCES.items()]),
        "Forms for regressions:",
        table(("name", "differs in"), [_reference(n, s) for n, s in REGRESSION_FORMS.items()]),
        "## Portfolio",
        "After these two a search trains the stacks of the portfolio whose choices its space "
        "offers, in this order ([where they come from](../atlas.md)). A space such as `chapter`, "
        "which does not offer the choices of `trainstack-default`, has these reference stacks in "
        "their place: " + ", ".join(map(code, CLASSICS)) + ".",
        *(_portfolio(task) for task in ("classification", "regression")),
    )


def _portfolio(task: str) -> str:
    rows = [_reference(*row) for row in portfolio(task) if row[0] != MEASURED_DEFAULT]
    if not rows:
        return f"For {task}: none; of the recorded stacks, none adds to `{MEASURED_DEFAULT}`."
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


def spaces_page() -> str:
    """Return the reference of the named spaces."""
    profiles = table(
        ("profile", "purpose", "searches", "the chapter's stack for it"),
        [(code(p.name), p.about, _searched(p), code(p.default)) for p in PROFILES.values()],
    )
    return page(
        "The named spaces",
        "A space defines the stacks that may be tried. `trainstack space show NAME` prints one as "
        "the JSON file that `launch --space FILE` reads and `space check FILE` checks; start your "
        "own space from a copy. An axis that a space leaves out is `none`, `plain` or its default. "
        "Ranges marked `log` are drawn on a logarithmic scale. If a space has several bundles, the "
        "bundle is drawn first:",
        table(("bundle", "what it is"), [(code(name), about) for name, about in BUNDLES.items()]),
        "## Profiles",
        "Every profile compares with `chapter-default`. The last column is what the chapter "
        "recommends for the purpose; `launch --stacks` trains it.",
        profiles,
        "## Shapes",
        "How a space draws `units`.",
        table(("shape", "what it is"), [(code(s.name), s.about) for s in SHAPE_TABLE.values()]),
        *(_space(Space.named(name)) for name in space_names()),
    )


def _searched(profile: Profile) -> str:
    spaces = code(profile.space)
    if (other := profile.regression_space) is not None:
        spaces += f"; for a regression {code(other)}"
    return spaces


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
