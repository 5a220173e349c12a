"""The database's clock, for tests: it stands still, jumps, or runs at another speed.

PostgreSQL looks up a name without a schema in the order of `search_path`. A test's database puts
`public` before `pg_catalog`, and functions of its own there. So the product's SQL, and the defaults
of its tables, read this clock in every process, and the product needs no switch for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from sqlalchemy import URL, Engine, text

from trainstack.search.database.connection import engine

START = datetime(2030, 1, 1, tzinfo=timezone.utc)
_FUNCTIONS = """
CREATE TABLE public.test_clock (at timestamptz, since timestamptz, rate double precision);
INSERT INTO public.test_clock VALUES (:at, pg_catalog.clock_timestamp(), 0);
CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE AS
  'SELECT at + (pg_catalog.now() - since) * rate FROM public.test_clock';
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
  'SELECT at + (pg_catalog.clock_timestamp() - since) * rate FROM public.test_clock';
"""


class Clock:
    """The clock of an empty database, made before its tables. It stands still at first.

    Args:
        url: The database; connections that are opened from now on read this clock.
    """

    def __init__(self, url: URL) -> None:
        self.now = START
        here = engine(url)
        with here.begin() as connection:
            for statement in filter(str.strip, _FUNCTIONS.split(";\n")):
                named = {"at": START} if ":at" in statement else {}
                connection.execute(text(statement), named)
            name = connection.execute(text("SELECT current_database()")).scalar_one()
            connection.execute(text(f"ALTER DATABASE {name} SET search_path = public, pg_catalog"))
        here.dispose()

    def move(self, database: Engine, seconds: float) -> None:
        """Move a clock that stands still; a negative number moves it back."""
        self.now += timedelta(seconds=seconds)
        with database.begin() as connection:
            connection.execute(text("UPDATE test_clock SET at = :at"), {"at": self.now})

    @staticmethod
    def run(database: Engine, rate: float) -> None:
        """Let the clock run from now on, `rate` of its seconds for each second."""
        with database.begin() as connection:
            connection.execute(
                text("UPDATE test_clock SET since = pg_catalog.clock_timestamp(), rate = :rate"),
                {"rate": rate},
            )
