"""The fleet's tables: studies, tasks, attempts, workers and events.

They share a database with Optuna's tables and are authoritative; Optuna's trials are copies.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Double,
    Engine,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
    inspect,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from trainstack.spaces.errors import RequestError

metadata = MetaData()
# Key of the advisory lock; arbitrary, but unique within the database.
_CREATING = 7_219_402_615
# Comment of a table that identifies the layout. Increment it with every change.
_LAYOUT = "trainstack tables, layout 3"


class WordColumn(TypeDecorator[str]):
    """Text whose values may be given as members of an enumeration.

    SQLAlchemy would look for the type of such a member among mapped classes, and so load its ORM.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the plain text that is sent to the database."""
        return None if value is None else str(value)


class MessageColumn(TypeDecorator[str]):
    """Text from anywhere, such as an exception of a user's code.

    PostgreSQL holds neither zero bytes nor halves of surrogate pairs; a mark takes their place.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the text that is sent to the database."""
        return value if value is None else _NOT_HELD.sub("\N{REPLACEMENT CHARACTER}", value)


_NOT_HELD = re.compile("[\0\ud800-\udfff]")
_word = functools.partial(Column, type_=WordColumn())
_empty_json = functools.partial(Column, type_=JSONB, nullable=False, server_default="{}")
_count = functools.partial(Column, type_=Integer, nullable=False, server_default="0")
_time = functools.partial(Column, type_=DateTime(timezone=True))


def _id(name: str) -> Column[Any]:
    return Column(name, BigInteger, Identity(always=True), primary_key=True)


def _of(target: str, nullable: bool = False) -> Column[Any]:
    """Return a foreign key to another of these tables, with deletion by cascade or to null."""
    table, name = target.split(".")
    rule = "SET NULL" if nullable else "CASCADE"
    key = ForeignKey(f"trainstack_{table}.{name}", ondelete=rule)
    return Column(name, BigInteger, key, nullable=nullable)


studies = Table(
    "trainstack_studies",
    metadata,
    _id("study_id"),
    Column("name", Text, nullable=False, unique=True),
    # Not JSONB, which sorts keys: the order of a space's choices matters.
    Column("spec", JSON, nullable=False),
    # The phase (searching, confirming, concluded) and the requested state (go, pause, stop,
    # cancel), from which the state shown by `status` derives.
    _word("phase", nullable=False, server_default="searching"),
    _word("requested_state", nullable=False, server_default="go"),
    # Places in the budget, and those held by counted, running and waiting search trials. Both
    # change only under a lock on this row.
    Column("trials", Integer, nullable=False),
    _count("held"),
    _count("opened"),
    _count("failed"),
    _count("voided"),
    # Number of changes to search trials that had ended: voided, or queued again.
    _count("revision"),
    # The evidence (tasks ended and voided) from which the confirmation was last planned.
    Column("planned", Integer, nullable=False, server_default="-1"),
    _time("created_at", server_default=func.now(), nullable=False),
    _time("deadline_at"),
    _time("paused_at"),
    # The last check for expired leases, and the last round of the export to Optuna.
    _time("expiry_checked_at"),
    _time("exported_at"),
    _time("concluded_at"),
)

workers = Table(
    "trainstack_workers",
    metadata,
    _id("worker_id"),
    _of("studies.study_id"),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("device", Text, nullable=False),
    Column("threads", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="idle"),
    _time("joined_at", server_default=func.now(), nullable=False),
    _time("seen_at", server_default=func.now(), nullable=False),
    _time("left_at"),
    Index("trainstack_workers_of_study", "study_id"),
)

tasks = Table(
    "trainstack_tasks",
    metadata,
    _id("task_id"),
    _of("studies.study_id"),
    _word("kind", nullable=False),
    _word("status", nullable=False, server_default="waiting"),
    _word("outcome"),
    Column("cause", MessageColumn),
    # What to train. A sampled place has no stack until it is claimed.
    Column("stack", JSONB(none_as_null=True)),
    Column("stack_id", Text),
    Column("label", Text),
    Column("seed", BigInteger, nullable=False),
    Column("seed_index", Integer, nullable=False, server_default="-1"),
    _empty_json("payload"),
    # Counts from 0 among the study's search trials, as in Optuna, or in its confirmation.
    Column("number", Integer),
    # Whether Optuna's copy of an ended search trial is complete.
    Column("exported", Boolean, nullable=False, server_default="false"),
    # The lease. A write is valid only with the token of the current attempt.
    Column("token", Text),
    _time("lease_until"),
    _of("workers.worker_id", nullable=True),
    # The worker that ran out of memory with it.
    Column("avoided_worker", BigInteger),
    _count("attempts"),
    _count("strikes"),
    # The result. PostgreSQL's arrays, unlike its JSON, hold NaN and infinity.
    Column("value", Double),
    _count("best_epoch"),
    Column("curve", ARRAY(Double), nullable=False, server_default="{}"),
    Column("train_curve", ARRAY(Double), nullable=False, server_default="{}"),
    _empty_json("metrics"),
    _empty_json("seconds"),
    _empty_json("artifacts"),
    _empty_json("found"),
    Column("cached_of", BigInteger),
    _time("created_at", server_default=func.now(), nullable=False),
    _time("claimed_at"),
    _time("finished_at"),
    Index("trainstack_tasks_of_study", "study_id", "kind", "status"),
    Index("trainstack_tasks_of_stack", "study_id", "stack_id"),
    Index(
        "trainstack_tasks_by_number",
        "study_id",
        "number",
        unique=True,
        postgresql_where=text("kind = 'search'"),
    ),
    Index("trainstack_tasks_leases", "lease_until", postgresql_where=text("status = 'running'")),
    Index(
        "trainstack_tasks_not_exported",
        "study_id",
        "number",
        postgresql_where=text("kind = 'search' AND NOT exported"),
    ),
    # Makes concurrent planning of the confirmation safe.
    Index(
        "trainstack_tasks_once",
        "study_id",
        "kind",
        "stack_id",
        "seed_index",
        unique=True,
        postgresql_where=text("kind <> 'search'"),
    ),
)

attempts = Table(
    "trainstack_attempts",
    metadata,
    _id("attempt_id"),
    _of("tasks.task_id"),
    Column("attempt", Integer, nullable=False),
    _of("workers.worker_id", nullable=True),
    _time("started_at", server_default=func.now(), nullable=False),
    _time("ended_at"),
    Column("ending", Text),
    Column("cause", MessageColumn),
    UniqueConstraint("task_id", "attempt"),
)

events = Table(
    "trainstack_events",
    metadata,
    _id("event_id"),
    _of("studies.study_id"),
    _time("at", server_default=func.now(), nullable=False),
    Column("kind", Text, nullable=False),
    Column("task_id", BigInteger),
    Column("worker_id", BigInteger),
    Column("message", MessageColumn, nullable=False, server_default=""),
    Index("trainstack_events_of_study", "study_id", "event_id"),
    comment=_LAYOUT,
)


def creating(connection: Connection) -> None:
    """Acquire the lock for creating tables until the transaction ends."""
    connection.execute(func.pg_advisory_xact_lock(_CREATING).select())


def ensure(engine: Engine) -> None:
    """Create the tables if they are missing; safe for concurrent processes."""
    if exist(engine):
        return
    with engine.begin() as connection:
        creating(connection)
        metadata.create_all(connection)


def exist(engine: Engine) -> bool:
    """Return whether the tables exist (the last one created stands for all).

    Raises:
        RequestError: They belong to another version.
    """
    found = inspect(engine)
    if not found.has_table(events.name):
        return False
    comment = found.get_table_comment(events.name)["text"]
    if comment != _LAYOUT:
        raise RequestError(
            f"this database holds '{comment}'",
            f"'{_LAYOUT}'",
            "use the version of trainstack that made it, or another database",
        )
    return True


def durable(connection: Connection) -> None:
    """Make this transaction, and all committed before it, survive a crash of the server.

    The embedded server does not wait for the disk on Optuna's small commits, only on transactions
    marked here. As the log is written in order, Optuna's earlier commits are then safe, too.
    """
    connection.execute(text("SET LOCAL synchronous_commit = on"))
