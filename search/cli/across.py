"""`recommend --across`: the best default for the data of several studies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainstack.search.cli.common import out, print_json
from trainstack.search.cli.common import storage as reach
from trainstack.spaces.errors import NothingToRecommend, RequestError

if TYPE_CHECKING:
    from trainstack.search.conclusion.across_records import Across

_WIDTH = 79


def one_study(names: Sequence[str]) -> str:
    """Return the only name given.

    Raises:
        RequestError: Several names were given.
    """
    if len(names) != 1:
        raise RequestError(
            f"{len(names)} studies were named", "one study", "compare several with --across"
        )
    return names[0]


def recommend_across(names: Sequence[str], as_json: bool, storage: str | None) -> None:
    """Print the stack that does best over the data of all these studies, without training.

    Raises:
        RequestError: Fewer than two studies are named, or a study is named twice, or studies of
            the same data decide by different metrics.
        StudyError: A study does not exist.
        NothingToRecommend: No stack was trained in all of them.
    """
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise RequestError(
            f"--across got {', '.join(names)}", "two studies or more, each named once"
        )
    from trainstack.search.conclusion.across_studies import across
    from trainstack.search.queue import queries

    with reach(storage) as (_, engine):
        found = across([queries.evidence(engine, name)[:2] for name in names])
    if not found.stacks:
        raise NothingToRecommend(
            found.sentence.rstrip(".").replace("No evidence", "no evidence"),
            "a stack that each of the studies trained",
            "train one in each: trainstack launch DATA --stacks FILE.json",
        )
    if as_json:
        print_json(found)
    else:
        out().print(text_of(found), markup=False)


def text_of(found: Across) -> str:
    """Return the comparison as plain text for a terminal of 80 columns."""
    import textwrap

    from trainstack.search.conclusion.across_records import stack_name
    from trainstack.search.conclusion.across_studies import share

    lines = textwrap.wrap(found.sentence, _WIDTH)
    lines += ["", *textwrap.wrap(found.stacks[0].description, _WIDTH)]
    rows = [("", "mean regret", "worst", "mean rank")]
    for entrant in found.stacks:
        regrets = share(entrant.mean_regret), share(entrant.worst_regret)
        rows.append((stack_name(entrant.stack_id), *regrets, f"{entrant.mean_rank:.1f}"))
    lines += ["", *_columns(rows)]
    for k, title in enumerate(found.data):
        places = sorted(
            (e.places[k].rank, stack_name(e.stack_id), e.places[k].regret) for e in found.stacks
        )
        ranking = ", ".join(f"{rank}. {name} {share(regret)}" for rank, name, regret in places)
        lines += ["", *textwrap.wrap(f"{title}: {ranking}", _WIDTH, subsequent_indent="  ")]
    if found.leave_one_out:
        rows = [("left out", "chosen on the others", "its regret", "default's")]
        for row in found.leave_one_out:
            default = "–" if row.default_regret is None else share(row.default_regret)
            rows.append((row.data, stack_name(row.stack_id), share(row.regret), default))
        lines += ["", *_columns(rows)]
    return "\n".join(lines)


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
