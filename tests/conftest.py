"""One home folder, one embedded database and one finished study for all that drive the command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.commands import LAUNCH, Launched, Shell


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home whose database stays up while tests run, so that no command pays for its start."""
    from search.fleet import embedded

    here = Shell(tmp_path_factory.mktemp("home"))
    embedded.hold(here.home / "postgres")
    yield here
    embedded.release(here.home / "postgres")


@pytest.fixture(scope="session")
def digits(shell: Shell) -> Launched:
    """`launch digits`, finished."""
    done = shell.run(*LAUNCH)
    assert done.returncode == 0, done.stderr
    return Launched(shell, done)
