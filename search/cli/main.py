"""The command: verbs, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys

import typer

from trainstack.search.cli import (
    claims,
    launch,
    logs,
    looking,
    range_test,
    recommend,
    replay,
    space,
    steering,
    watch,
    worker,
)
from trainstack.search.cli.signals import INTERRUPTED
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
worker.register(app)
watch.register(app)
looking.register(app)
logs.register(app)
recommend.register(app)
replay.register(app)
steering.register(app)
space.register(app)
range_test.register(app)
claims.register(app)


def main(argv: list[str] | None = None) -> None:
    """Run the command and leave with the contract's exit code."""
    # Imports and answers make many objects and no garbage: looking for it took a fifth of the time
    gc.set_threshold(100_000)
    _mend_streams()
    code = run(sys.argv[1:] if argv is None else argv)
    try:
        sys.stdout.flush()  # Python would complain when it ends
    except OSError:
        _forget_output()
    raise SystemExit(code)


def run(argv: list[str]) -> int:
    """Run the command; return its exit code. Users cause no traceback: ours are bugs."""
    command = typer.main.get_command(app)
    try:
        _check_text(argv)
        try:
            code = command.main(args=argv, prog_name="trainstack", standalone_mode=False)
        except typer.Exit as leave:
            code = leave.exit_code
        sys.stdout.flush()
    except TrainstackError as error:
        return _say(redact_message(str(error), argv), error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _say("interrupted", INTERRUPTED)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message(), flush=True)  # noqa: T201 - the help that was asked for
            return 0
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "trainstack"
        message = redact_message(error.format_message(), argv)
        return _say(f"{message} See `{where} --help`", RequestError.exit_code)
    except BrokenPipeError:
        # Whoever read our output has had enough: `trainstack trials … | head`.
        _forget_output()
        return 0
    except SystemExit as leave:
        if not isinstance(leave.__context__, BrokenPipeError):
            raise
        _forget_output()  # the same, met by Typer
        return 0
    except OSError as error:
        # A full disk, a folder without permission: the machine's matter, and no bug of ours.
        _forget_output()
        where = redact_message(f" ({error.filename})", argv) if error.filename else ""
        hint = "free some space, or allow it there"
        return _say(f"{error.strerror or error}{where}; {hint}", RequestError.exit_code)
    return code if isinstance(code, int) else 0


def _check_text(argv: list[str]) -> None:
    """Refuse arguments that are no text: no name in a database can be such."""
    for argument in argv:
        if not argument.isascii() and argument != argument.encode("utf-8", "ignore").decode():
            raise RequestError(f"the argument {argument!a}", "UTF-8 text", "rename it")


def _mend_streams() -> None:
    """Make streams that cannot spell everything safe to write to."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _forget_output() -> None:
    """Let what is still buffered go nowhere, so that Python does not complain when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str, code: int) -> int:
    line = " ".join(message.split())
    with contextlib.suppress(OSError):
        print(f"trainstack: {line}", file=sys.stderr)  # noqa: T201 - the one line on an error
    return code
