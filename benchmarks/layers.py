"""Layers beyond the chapter: an epoch with embeddings, and with eight members.

    python -m benchmarks layers

Embeddings are compared with Keras `fit` of the same network, members with eight epochs of the
network alone. A table of 5,000 rows and 20 numbers.
"""

from __future__ import annotations

import tempfile

from benchmarks.engine import Subject, epoch_seconds, fit_epoch_seconds
from benchmarks.table import Row
from benchmarks.together import table
from trainstack.spaces.stack import Stack

MEMBERS = 8
# At least as quick as what a user would run instead.
BAR = 1.0
PLAIN = Stack.of(units=[64, 64], batch_size=128)


def rows() -> list[Row]:
    """Measure steady-state epochs, validation included."""
    with tempfile.TemporaryDirectory() as folder:
        subject = Subject(table(folder))
    alone = epoch_seconds(subject, PLAIN)
    return [
        *(embedding(subject, kind) for kind in ("periodic", "piecewise")),
        *(members(subject, kind, alone) for kind in ("shared", "independent")),
    ]


def embedding(subject: Subject, kind: str) -> Row:
    """Measure an epoch with embedded numbers against Keras `fit`."""
    stack = PLAIN.but(embedding=kind)
    ours, theirs = epoch_seconds(subject, stack), fit_epoch_seconds(subject, stack)
    what = f"epoch, 5,000 rows, 64-64, batch 128, {kind} embedding"
    return Row(what, _ms(ours), f"`fit`: {_ms(theirs)}", theirs / ours, BAR)


def members(subject: Subject, kind: str, alone: float) -> Row:
    """Measure an epoch of eight members against eight epochs of one network."""
    ours = epoch_seconds(subject, PLAIN.but(members=kind, **{"members.count": MEMBERS}))
    what = f"epoch, 5,000 rows, 64-64, batch 128, {MEMBERS} {kind} members"
    against = f"{MEMBERS} networks: {_ms(MEMBERS * alone)}"
    return Row(what, _ms(ours), against, MEMBERS * alone / ours, BAR)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
