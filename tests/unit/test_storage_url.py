"""A storage URL's password is never printed, whatever its characters."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from unittest import mock
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainstack.search.cli.main import run
from trainstack.search.database import url_parameters
from trainstack.search.database.connection import engine, guarded, parse_url, redacted
from trainstack.search.database.redaction import redact_message
from trainstack.spaces.errors import RequestError, StorageAwayError

RESERVED = ["@", "/", "//", "?", "#", ":", "%", "[", "]", " ", "&", "=", "+", ";", "'", '"', "%00"]
PIECES = st.lists(st.sampled_from(["s3cr3t", "w0rd", *RESERVED]))
# No server listens on port 1, which refuses connections.
HOST = "127.0.0.1:1/base"
# Positions of a password in a URL
FORMS = (
    "postgresql://me:{}@" + HOST,
    "postgres://:{}@" + HOST,
    "postgresql://me@" + HOST + "?password={}",
    "postgresql+psycopg2://" + HOST + "?user=me&password={}&sslmode=prefer",
    "postgresql://me@" + HOST + "?passwd={}",
    "postgresql://me@" + HOST + "?sslmode=prefer&sslpassword={}",
)
# Positions of a URL on the command line, intended or mistaken; {} is the URL
LINES = (
    *(["status", "--storage", "{}"], ["status", "x", "--storage={}"], ["status", "{}"]),
    *(["trials", "{}", "--json"], ["watch", "{}"], ["logs", "{}"], ["recommend", "{}"]),
    *(["recommend", "--across", "x", "{}"], ["report", "{}"], ["stop", "{}"], ["worker", "{}"]),
    *(["void", "{}", "1"], ["set", "{}", "workers=1"], ["set", "x", "{}"], ["replay", "{}", "1"]),
    *(["export", "{}", "--format", "json", "-o", "x"], ["dashboard", "{}"], ["launch", "{}"]),
    *(["export", "x", "--format", "{}", "-o", "x"], ["replay", "x", "{}"], ["status", "a", "{}"]),
    *(["launch", "digits", "--study", "{}"], ["launch", "digits", "--space", "{}"], ["{}"]),
    *(["launch", "wine", "--target", "{}"], ["launch", "digits", "--stacks", "{}"], ["--{}"]),
    *(["launch", "digits", "--constraint", "{}"], ["launch", "digits", "--trials", "{}"]),
    *(["claims", "digits", "--study", "{}"], ["claims", "digits", "--claim", "{}"]),
    *(["claims", "{}"], ["space", "show", "{}"], ["space", "check", "{}"], ["status", "--no={}"]),
    *(["trials", "x", "--outcome", "{}"], ["trials", "x", "--axis", "{}=relu"]),
)


@given(PIECES.map("".join))
@settings(deadline=None)
def test_no_part_of_a_password_is_shown(password: str) -> None:
    """An unencoded password is read completely or refused, and no part of it is shown."""
    try:
        shown = redacted(f"postgresql://me:{password}@db.example/base")
    except RequestError as error:
        shown = str(error)
    assert not re.search("s3cr3t|w0rd", shown)


@given(PIECES.map("".join))
@settings(deadline=None)
def test_a_percent_encoded_password_is_read(password: str) -> None:
    """Any percent-encoded password reaches the server unchanged."""
    url = parse_url(f"postgresql://me:{quote(password, safe='')}@db.example/base")
    assert (url.password or "", url.host, url.database) == (password, "db.example", "base")


@pytest.mark.parametrize("password", ["p@ss/w#rd", "p@ss", "p/ss", "p?ss", "p#ss", "p ss"])
def test_a_reserved_character_is_refused_with_its_encoding(password: str) -> None:
    """A reserved character is refused with its encoding, before any connection."""
    with pytest.raises(RequestError, match="%40") as refused:
        parse_url(f"postgresql://me:{password}@db.example/base")
    assert "rd@" not in str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        *("password=s3cr3t&w0rd=c", "password=s3cr3t&w0rd", "passwd=s3cr3t", "=s3cr3t", "s3cr3t"),
        *("password=a&password=s3cr3t", "plugin=s3cr3t", "password=s3cr3t%00"),
    ],
)
def test_what_is_no_parameter_is_refused_unsaid(query: str) -> None:
    """An unknown query parameter is refused without its value, before any connection."""
    with pytest.raises(RequestError) as refused:
        parse_url(f"postgresql://me@db.example/base?{query}")
    assert not re.search("s3cr3t|w0rd", str(refused.value))


def test_what_goes_on_after_a_password_is_not_shown() -> None:
    """The rest of a password cut at its & may look like a parameter, and is not shown."""
    shown = redacted("postgresql://me@db.example/base?password=s3cr3t&sslmode=w0rd")
    assert shown == "postgresql://me@db.example/base"
    kept = "postgresql://me@db.example/base?sslmode=require"
    assert redacted(kept) == kept


@pytest.mark.parametrize("name", sorted(url_parameters.KNOWN - {"host", "hostaddr", "port"}))
def test_a_parameter_that_the_driver_refuses_is_no_traceback(name: str) -> None:
    """Any value of a known parameter gives StorageAwayError, not a traceback."""
    url = parse_url(f"postgresql://me@{HOST}?{name}=s3cr3t")
    with pytest.raises(StorageAwayError) as away, guarded(url):
        engine(url).connect()
    assert name not in url_parameters.SECRET or "s3cr3t" not in str(away.value)


def run_here(line: list[str], url: str, storage: str) -> tuple[int, str]:
    """Run a command in this process; return its exit code and its output."""
    output = io.StringIO()
    with tempfile.TemporaryDirectory() as home:
        variables = {"TRAINSTACK_HOME": home, "TRAINSTACK_STORAGE": storage}
        with (
            mock.patch.dict("os.environ", variables),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
        ):
            code = run([part.replace("{}", url) for part in line])
    return code, output.getvalue()


@given(
    line=st.sampled_from(LINES),
    form=st.sampled_from(FORMS),
    password=PIECES.map("".join),
    encoded=st.booleans(),
    stored=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_no_line_shows_a_password(
    line: list[str], form: str, password: str, encoded: bool, stored: bool
) -> None:
    """For a URL in any position the command prints one line without secrets."""
    url = form.format(quote(password, safe="") if encoded else password)
    storage = url if stored else f"postgresql://me@{HOST}"
    code, output = run_here(line, url, storage)
    assert code in (2, 3), output
    assert len(output.splitlines()) == 1, output
    assert not re.search("s3cr3t|w0rd", output), output


@pytest.mark.parametrize("line", [["status", "{}"], ["launch", "digits", "--study", "{}"]])
def test_a_url_in_the_place_of_a_study(line: list[str]) -> None:
    """It is refused as a wrong request, with its proper place."""
    code, output = run_here(line, "postgresql://u:s3cr3t@h/db", f"postgresql://me@{HOST}")
    expected = "expected a name such as digits; pass the URL with --storage"
    start = "trainstack: a storage URL where a study's name is expected; "
    assert (code, output) == (2, start + expected + "\n")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("no 'postgresql://u:a b@h/d' here", "no 'postgresql://…' here"),
        ("no 'postgresql://u:a' here", "no 'postgresql://…"),
        ("no postgresql:/u:a b@h/d here", "no postgresql://… here"),
        ("no answer from postgresql://u@h:5432/d", "no answer from postgresql://u@h:5432/d"),
    ],
)
def test_a_message_repeats_no_argument_with_a_password(message: str, expected: str) -> None:
    """A URL given as an argument appears without its password: whole, cut or as a path."""
    assert redact_message(message, ["status", "postgresql://u:a b@h/d"]) == expected
