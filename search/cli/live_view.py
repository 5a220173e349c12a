"""The live view of a study: a pure function of its status, a snapshot and the width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainstack.search.cli.common import fitting, number, seconds

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from trainstack.search.queue.progress import Event, Running, Snapshot
    from trainstack.search.queue.status import StudyStatus, WorkerStatus

SPENT = ("completed", "pruned", "diverged", "infeasible")
BARS = "▁▂▃▄▅▆▇█"
# Least width at which a running trial's stack is described in words.
WIDE = 110
# Below this width progress is shown as numbers only.
NARROW = 60


def line_of(status: StudyStatus) -> str:
    """Return the progress of a study in one line that fits 80 columns, if its names do."""
    took = seconds(status.elapsed_seconds)
    best = f", best {status.objective} {number(status.best.value)}" if status.best else ""
    if status.phase == "searching" and not status.budget.trials:
        return f"starting, {took}"  # nothing is searched: an experiment for claims
    if status.phase == "searching":
        text = f"{status.state}: {spent(status.counts)} of {status.budget.trials} trials"
        return fitting(*(f"{text}{aside}{best}, {took}" for aside in _asides(status.counts)))
    if status.measurement["waiting"] or status.measurement["running"]:
        text = "measuring the choice on the test set, once"
        return fitting(f"{text}{best}, {took}", f"{text}, {took}")
    if not certain_runs(status):
        return f"{status.state}: {spent(status.counts)} trials searched{best}, {took}"
    return _confirming_line(status, best if status.concluded else "")


def _asides(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return what else to say of the trials, the most detailed first."""
    words = ("pruned", "diverged", "infeasible", "failed")
    if not (early := sum(counts[word] for word in words)):
        return ("",)
    each = ", ".join(f"{counts[word]} {word}" for word in words if counts[word])
    return f" ({each})", f" ({early} ended early)", ""


def _confirming_line(status: StudyStatus, best: str) -> str:
    """Return the certain and the possible runs of a confirmation, and both times."""
    certain, most = certain_runs(status), most_runs(status)
    runs = f"{certain} to {most}" if most > certain else f"{certain}"
    elapsed = status.elapsed_seconds
    text = f"{status.state}: {spent(status.confirmation)} of {runs} runs{best}, {seconds(elapsed)}"
    if (left := time_left(status)) is None:
        return text
    at_least = seconds(elapsed + left)
    text += f" of about {at_least}"
    at_most = seconds(elapsed + (time_left(status, most) or left))
    return text if at_most == at_least else fitting(f"{text} to {at_most}", text)


def certain_runs(status: StudyStatus) -> int:
    """Return the runs of a confirmation that have ended, run or wait."""
    counts = status.confirmation
    return spent(counts) + counts["waiting"] + counts["running"]


def most_runs(status: StudyStatus) -> int:
    """Return the most runs that a confirmation may come to; the certain ones if it has ended."""
    if status.concluded or status.phase == "searching":
        return certain_runs(status)
    return max(certain_runs(status), status.confirmation_at_most)


def spent(counts: Mapping[str, int]) -> int:
    """Return how many ended trials count against the budget."""
    return sum(counts[word] for word in SPENT)


def time_left(status: StudyStatus, runs: int | None = None) -> float | None:
    """Estimate the seconds until the current phase ends; None if unknown.

    Args:
        status: The study's.
        runs: Number of the phase's runs; None: the trials of the budget, or the certain runs.
    """
    if status.state not in ("searching", "confirming"):
        return None
    searching = status.phase == "searching"
    counts = status.counts if searching else status.confirmation
    workers = sum(worker.state != "lost" for worker in status.workers)
    left = status.remaining_seconds
    if status.run_seconds is None or not workers:
        return left
    total = runs or (status.budget.trials if searching else certain_runs(status))
    todo = total - spent(counts) - counts["running"] / 2
    estimate = max(0.0, todo) * status.run_seconds / workers
    return estimate if left is None else min(estimate, left)


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw the best value so far over time, one character per step.

    >>> sparkline([3.0, 2.0, 2.5, 1.0], 4)
    '█▅▅▁'
    """
    best, low = [], float("inf")
    for value in values:
        low = min(low, value)
        best.append(low)
    if not best or width < 1:
        return ""
    if len(best) > width:
        best = [best[(place + 1) * len(best) // width - 1] for place in range(width)]
    span = (max(best) - min(best)) or 1.0
    return "".join(BARS[round((v - min(best)) / span * (len(BARS) - 1))] for v in best)


def bar(done: int, total: int, width: int) -> str:
    """Draw a bar of a fixed width."""
    full = round(width * min(1.0, done / total)) if total else 0
    return "━" * full + "─" * (width - full)


def view(status: StudyStatus, snapshot: Snapshot, width: int) -> Group:
    """Return the view for a terminal.

    Args:
        status: Status of the study.
        snapshot: Results so far and running trials.
        width: Columns of the terminal.
    """
    from rich.console import Group
    from rich.text import Text

    searching = status.phase == "searching"
    counts = status.counts if searching else status.confirmation
    done, total = spent(counts), status.budget.trials if searching else certain_runs(status)
    left = time_left(status)
    head = Text(f"{status.study}  ", style="bold")
    head.append(status.state, style="green" if status.state == "searching" else "cyan")
    head.append(f"  {bar(done, total, min(20, width // 8))} {done} of {total}", style="default")
    head.append(f"  {seconds(status.elapsed_seconds)}", style="default")
    if left is not None:
        head.append(f", about {seconds(left)} left", style="default")
    lines = [head, Text(_counts(status), style="dim")]
    if text := _possible(status):
        lines.append(Text(text))
    lines.append(Text(_best(status, snapshot)))
    title = f"best {status.objective}{status.over_folds} "
    if snapshot.losses:
        lines.append(Text(f"{title}{sparkline(snapshot.losses, width - 2 - len(title))}"))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    parts: list[Any] = [*lines]
    if table := _workers(status, snapshot, width):
        parts.append(table)
    parts += [_event(event) for event in snapshot.events]
    return Group(*parts)


def _possible(status: StudyStatus) -> str:
    """Return what a confirmation that goes on may still come to; empty if all is certain."""
    most = most_runs(status)
    if most <= certain_runs(status):
        return ""
    longest = time_left(status, most)
    time = "" if longest is None else f", {seconds(longest)} left"
    return f"at most {most} runs if the comparison stays open{time}"


def _counts(status: StudyStatus) -> str:
    """Return the number of trials in each state; each trial is in exactly one."""
    words = ("completed", "pruned", "diverged", "infeasible", "running", "waiting", "failed")
    counted = ", ".join(f"{status.counts[w]} {w}" for w in words if status.counts[w])
    return counted or "nothing yet"


def _best(status: StudyStatus, snapshot: Snapshot) -> str:
    if not status.best:
        return "no trial has completed yet"
    value = status.best.value
    text = f"best {number(value)} (trial {status.best.trial})"
    if snapshot.baseline is None:
        return text + ", the chapter's default is still to come"
    gap = snapshot.baseline - value
    if gap <= 0:
        return text + ", the chapter's default itself"
    text += f", {number(gap)} below the chapter's default ({number(snapshot.baseline)})"
    return text


def _workers(status: StudyStatus, snapshot: Snapshot, width: int) -> Table | None:
    """Return one row per worker: what it trains, and its progress."""
    from rich.table import Table

    held = {running.worker: running for running in snapshot.running}
    if not status.workers:
        return None
    table = Table(box=None, pad_edge=False, show_header=False, expand=True)
    columns = 4 if width >= WIDE else 3
    for place in range(columns):
        # The last column takes the remaining width and is truncated.
        last = place == columns - 1
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1 if last else None)
    for worker in status.workers:
        running = held.get(worker.id)
        cells = [
            f"{worker.id} {worker.device}",
            *_at(worker, running, status.epochs, width),
        ]
        if width >= WIDE:
            cells.append(_stack(running, status.network))
        table.add_row(*cells)
    return table


def _at(worker: WorkerStatus, running: Running | None, epochs: int, width: int) -> tuple[str, str]:
    if running is None:
        return worker.state, ""
    if running.kind == "measurement":
        return "test set", ""
    if running.kind == "refit":
        return "model", ""
    what = "trial" if running.kind == "search" else "run"
    planned = running.stack.planned_epochs(epochs) if running.stack else epochs
    drawn = bar(running.epochs, planned, 10) + " " if width >= NARROW else ""
    progress = f"{drawn}epoch {running.epochs}/{planned}"
    loss = f"  {number(running.loss)}" if running.loss is not None else ""
    return f"{what} {'' if running.number is None else running.number}", progress + loss


def _stack(running: Running | None, network: str) -> str:
    from trainstack.search.evidence.formatting import describe

    return describe(running.stack, network) if running and running.stack else ""


def _event(event: Event) -> Any:
    from rich.text import Text

    words = [f"{event.at.astimezone():%H:%M:%S}", event.kind, event.about]
    last = (event.message.strip().splitlines() or [""])[-1].strip()
    text = Text(" ".join(word for word in [*words, last] if word), style="dim")
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
