"""The table of JSON documents: what every verb prints with `--json`, field by field.

The reference page is written from it, and a test holds it against real output in both directions.
To add a field, add a row; a path goes through objects with a dot and into lists with `[]`.
"""

from __future__ import annotations

from docs.conclusions import ACROSS, CLAIMS, PREVIEW, RECOMMENDATION
from docs.fields import (
    ANY,
    FLAG,
    LIST,
    NUMBER,
    NUMBERS,
    OBJECT,
    OR_NULL,
    STACK,
    TEXT,
    WHOLE,
    Document,
    Field,
)

STATUS = (
    Field("study", TEXT, "its name"),
    Field("state", TEXT, "`searching`, `confirming`, `concluded`, `paused` or `stopped`"),
    Field("phase", TEXT, "`searching`, `confirming` or `concluded`, whatever was wished"),
    Field("budget", OBJECT, ""),
    Field("budget.trials", WHOLE, "search trials that the study may count"),
    Field("budget.asked", WHOLE, "what the launch asked for"),
    Field("epochs", WHOLE, "most epochs of a trial"),
    Field("counts", NUMBERS, "search trials by outcome; `retried`: further attempts"),
    Field("confirmation", NUMBERS, "the same of the confirmation's runs"),
    Field("measurement", NUMBERS, "the same of the look at the test set"),
    Field("best", OBJECT + OR_NULL, "best completed trial; null before the first"),
    Field("best.trial", WHOLE, "its number"),
    Field("best.value", NUMBER, "its validation loss"),
    Field("workers", LIST, "those that have not left"),
    Field("workers[].id", TEXT, "host, process and number"),
    Field("workers[].host", TEXT, "its machine"),
    Field("workers[].device", TEXT, "such as `cpu` or `gpu:0`"),
    Field("workers[].threads", WHOLE, "threads it trains with"),
    Field("workers[].version", TEXT, "of this package"),
    Field("workers[].state", TEXT, "what it does; `lost` after a minute of silence"),
    Field("workers[].trial", WHOLE + OR_NULL, "what it trains"),
    Field("workers[].kind", TEXT + OR_NULL, "`search`, `confirmation` or `measurement`"),
    Field("workers[].last_seen_seconds", NUMBER, "since it was last heard of"),
    Field("timeout_seconds", NUMBER + OR_NULL, "what the launch allowed"),
    Field("remaining_seconds", NUMBER + OR_NULL, "of that, left"),
    Field("created", TEXT, "when, ISO 8601"),
    Field("elapsed_seconds", NUMBER, "until now, or until it concluded"),
    Field("concluded", FLAG, "whether nothing more will happen"),
)

TRIALS = (
    Field("[].number", WHOLE + OR_NULL, "trial's number; null while it waits without one"),
    Field("[].outcome", TEXT, "how it ended, or `running` or `waiting`"),
    Field("[].value", NUMBER + OR_NULL, "validation loss of its best epoch, penalty-free"),
    Field("[].epochs", WHOLE, "epochs trained"),
    Field("[].best_epoch", WHOLE, "whose weights were restored; 0: none"),
    Field("[].curve", LIST, "validation loss per epoch, penalty-free"),
    Field("[].curve[]", NUMBER + OR_NULL, "null where it was not finite"),
    Field("[].train_curve", LIST, "training loss per epoch, penalty-free"),
    Field("[].train_curve[]", NUMBER + OR_NULL, ""),
    Field("[].metrics", NUMBERS, "`parameters`, `accuracy` or `rmse`, and what a bound needs"),
    Field("[].stack", STACK + OR_NULL, "what was trained; null before it is drawn"),
    Field("[].stack_id", TEXT + OR_NULL, "fingerprint: equal stacks have equal ones"),
    Field("[].condition", ANY, "what an experiment for claims did to it beside its stack"),
    Field("[].family", TEXT + OR_NULL, "stacks of one family are compared as variants"),
    Field("[].label", TEXT + OR_NULL, "name of a reference stack, or what a run is for"),
    Field("[].seed", WHOLE, "of weights, batch order and masks"),
    Field("[].seed_index", WHOLE, "within the confirmation: equal index, equal seed; else -1"),
    Field("[].seconds", NUMBERS, "`total`, `build`, `compile`, `train`, `evaluate`"),
    Field("[].worker", TEXT + OR_NULL, "who trained it"),
    Field("[].attempt", WHOLE, "1 unless it was begun again"),
    Field("[].cause", TEXT + OR_NULL, "why it diverged, was infeasible, failed or is void"),
    Field("[].layers", ANY, "per hidden layer, at `start` and `end`: outputs and gradients"),
)

DOCUMENTS: tuple[Document, ...] = (
    Document(("status", "watch"), "How a study stands; without a name a list of these.", STATUS),
    Document(
        ("trials",),
        "The search's trials in order; with `--confirmation` the confirmation's runs.",
        TRIALS,
    ),
    Document(("launch", "recommend"), "What a study concludes.", RECOMMENDATION),
    Document(
        ("recommend --across",), "The default that serves the data of several studies.", ACROSS
    ),
    Document(
        ("launch --preview",),
        "What a launch would train; exit code 2 where something cannot be trained.",
        PREVIEW,
    ),
    Document(("claims",), "What the designed experiment says of each claim.", CLAIMS),
    Document(
        ("workers",),
        "The workers of a study, as in `status`.",
        tuple(
            Field(f.path.removeprefix("workers"), f.kind, f.about)
            for f in STATUS
            if f.path.startswith("workers[]")
        ),
    ),
    Document(
        ("logs",),
        "What happened in a study.",
        (
            Field("study", TEXT, "its name"),
            Field("events", LIST, "oldest first"),
            Field("events[].id", WHOLE, "rising"),
            Field("events[].at", TEXT, "when, ISO 8601"),
            Field("events[].kind", TEXT, "what happened"),
            Field("events[].trial", WHOLE + OR_NULL, "which trial, if one"),
            Field("events[].phase", TEXT + OR_NULL, "what that trial is for"),
            Field("events[].message", TEXT, ""),
            Field("attempts", LIST, "of the trial that was asked for"),
            Field("attempts[].attempt", WHOLE, ""),
            Field("attempts[].started", TEXT, "when, ISO 8601"),
            Field("attempts[].ended", TEXT + OR_NULL, ""),
            Field("attempts[].ending", TEXT + OR_NULL, "null: under way"),
            Field("attempts[].cause", TEXT + OR_NULL, ""),
            Field("files", ANY, "path → last lines of what this machine's workers wrote"),
        ),
    ),
    Document(
        ("report",),
        "What was written.",
        (
            Field("study", TEXT, "its name"),
            Field("files", LIST, ""),
            Field("files[]", TEXT, "paths"),
        ),
    ),
    Document(
        ("replay",),
        "A trial trained again beside its record.",
        (
            Field("study", TEXT, "its name"),
            Field("trial", WHOLE, "its number"),
            Field("kind", TEXT, "`search` or `confirmation`"),
            Field("stack", STACK, ""),
            Field("stack_id", TEXT, ""),
            Field("seed", WHOLE, ""),
            Field("threads", WHOLE, "0: all cores"),
            Field("cached_of", WHOLE + OR_NULL, "trial whose result this is, if equal stacks"),
            Field("tolerance", NUMBER, "relative difference that counts as the same"),
            Field("same", FLAG, "equally long, nowhere further apart than that"),
            Field("exact", FLAG, "equal to the last digit"),
            Field("epochs", WHOLE, "that both have"),
            Field("difference", NUMBER + OR_NULL, "largest relative difference"),
            Field("differs_at", WHOLE + OR_NULL, "first epoch that differs"),
            Field("recorded", OBJECT, ""),
            Field("recorded.outcome", TEXT, ""),
            Field("recorded.curve", LIST, "validation loss per epoch"),
            Field("recorded.curve[]", NUMBER + OR_NULL, ""),
            Field("recorded.device", TEXT, ""),
            Field("again", OBJECT, ""),
            Field("again.device", TEXT, ""),
            Field("again.outcome", TEXT, ""),
            Field("again.cause", TEXT + OR_NULL, ""),
            Field("again.curve", LIST, ""),
            Field("again.curve[]", NUMBER + OR_NULL, ""),
            Field("again.seconds", NUMBERS, ""),
        ),
    ),
    Document(
        ("range-test",),
        "One row an optimizer.",
        (
            Field("[].optimizer", TEXT, ""),
            Field("[].rates", LIST, "learning rates tried, rising"),
            Field("[].rates[]", NUMBER, ""),
            Field("[].losses", LIST, "validation loss at each"),
            Field("[].losses[]", NUMBER + OR_NULL, ""),
            Field("[].stable", NUMBER + OR_NULL, "largest stable rate of the descent"),
            Field("[].low", NUMBER, "lowest rate worth searching"),
            Field("[].high", NUMBER, "highest"),
        ),
    ),
    Document(
        ("space list",),
        "The named spaces.",
        (
            Field("[].name", TEXT, ""),
            Field("[].about", TEXT, ""),
            Field("[].cost", TEXT, ""),
        ),
    ),
    Document(
        ("space check",),
        "Whether a space can be searched; exit code 2 where not.",
        (
            Field("file", TEXT, ""),
            Field("problems", LIST, "empty: it can"),
            Field("problems[]", TEXT, "a problem with its path"),
        ),
    ),
    Document(
        ("doctor",),
        "What this machine has.",
        (
            Field("[].what", TEXT, ""),
            Field("[].ok", FLAG, ""),
            Field("[].found", TEXT, ""),
            Field("[].fix", TEXT, "empty: nothing is missing"),
        ),
    ),
)
