"""A storage URL's password is never said, whatever its characters."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.fleet.connect import parse_url, redacted
from spaces.errors import RequestError

PIECES = st.lists(st.sampled_from(["s3cr3t", "w0rd", "@", "/", "?", "#", ":", "%", "[", "]", " "]))


@given(PIECES.map("".join))
def test_no_part_of_a_password_is_said(password: str) -> None:
    """Typed as it is, a password is either read whole or refused, and no part of it is shown."""
    try:
        shown = redacted(f"postgresql://me:{password}@db.example/base")
    except RequestError as error:
        shown = str(error)
    assert not re.search("s3cr3t|w0rd", shown)


@given(PIECES.map("".join))
def test_a_percent_encoded_password_is_read(password: str) -> None:
    """Percent-encoded, any password reaches the server as it is."""
    url = parse_url(f"postgresql://me:{quote(password, safe='')}@db.example/base")
    assert (url.password or "", url.host, url.database) == (password, "db.example", "base")


@pytest.mark.parametrize("password", ["p@ss/w#rd", "p@ss", "p/ss", "p?ss", "p#ss", "p ss"])
def test_a_reserved_character_is_refused_with_its_encoding(password: str) -> None:
    """A reserved character is refused with how to write it, before anything is connected to."""
    with pytest.raises(RequestError, match="%40") as refused:
        parse_url(f"postgresql://me:{password}@db.example/base")
    assert "rd@" not in str(refused.value)
