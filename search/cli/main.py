"""The command line: registers the verbs and turns errors into one line and an exit code."""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import os
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer

from trainstack.search.cli import (
    claims,
    confirm,
    data,
    export,
    launch,
    logs,
    looking,
    predict,
    range_test,
    recommend,
    replay,
    serve,
    space,
    steering,
    tracking,
    watch,
    worker,
)
from trainstack.search.cli.signals import INTERRUPTED
from trainstack.search.database.connection import disconnect
from trainstack.search.database.redaction import redact_message
from trainstack.spaces.errors import RequestError, TrainstackError

app = typer.Typer(
    name="trainstack",
    help="Which stack of training choices should I use on this data, and how sure are we?",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
launch.register(app)
data.register(app)
worker.register(app)
watch.register(app)
looking.register(app)
logs.register(app)
recommend.register(app)
export.register(app)
predict.register(app)
confirm.register(app)
replay.register(app)
serve.register(app)
steering.register(app)
tracking.register(app)
space.register(app)
range_test.register(app)
claims.register(app)


def _print_version(asked: bool) -> None:
    """Print the installed version and end."""
    if asked:
        typer.echo(f"trainstack {version('trainstack')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Options of the command itself."""


def main(argv: list[str] | None = None) -> None:
    """Run the command and exit with its documented code."""
    # Imports and results create many objects and little garbage: collecting took 20 % of the time.
    gc.set_threshold(100_000)
    _escape_unencodable()
    code = run(sys.argv[1:] if argv is None else argv)
    try:
        sys.stdout.flush()  # else Python reports a broken pipe at exit
    except OSError:
        _discard_output()
    gc.freeze()  # else everything is collected once more, a third of a second
    raise SystemExit(code)


@functools.cache
def command() -> Any:
    """Return the command with all verbs, whose signatures take 50 ms to read."""
    return typer.main.get_command(app)


def run(argv: list[str]) -> int:
    """Run the command and return its exit code; only bugs cause a traceback."""
    try:
        _check_text(argv)
        try:
            code = command().main(args=argv, prog_name="trainstack", standalone_mode=False)
        except typer.Exit as leave:
            code = leave.exit_code
        sys.stdout.flush()
    except TrainstackError as error:
        return _fail(redact_message(str(error), argv), error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _fail("interrupted", INTERRUPTED)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message(), flush=True)  # noqa: T201 - requested help
            return 0
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "trainstack"
        message = redact_message(error.format_message(), argv)
        return _fail(f"{message.rstrip('.')}; see `{where} --help`", RequestError.exit_code)
    except BrokenPipeError:
        # The reader closed the pipe, as in `trainstack trials … | head`.
        _discard_output()
        return 0
    except SystemExit as leave:
        if not isinstance(leave.__context__, BrokenPipeError):
            raise
        _discard_output()  # a broken pipe that Typer has handled
        return 0
    except OSError as error:
        # An environment problem such as a full disk or a missing permission, not a bug.
        _discard_output()
        where = redact_message(f" ({error.filename})", argv) if error.filename else ""
        hint = "check free space and permissions"
        return _fail(f"{error.strerror or error}{where}; {hint}", RequestError.exit_code)
    finally:
        disconnect()
    return code if isinstance(code, int) else 0


def _check_text(argv: list[str]) -> None:
    """Reject arguments that are not valid text, which the database cannot store."""
    for argument in argv:
        if not argument.isascii() and argument != argument.encode("utf-8", "ignore").decode():
            raise RequestError(f"the argument {argument!a}", "UTF-8 text", "rename it")


def _escape_unencodable() -> None:
    """Escape characters that the output encoding lacks instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Discard buffered output, so that Python reports no error at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    with contextlib.suppress(OSError):
        print(f"trainstack: {line}", file=sys.stderr)  # noqa: T201 - the error message
    return code
