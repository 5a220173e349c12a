"""The command: verbs, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import os
import sys

import typer

from search.cli import concluding, launching, looking, spacing, steering
from spaces.errors import RequestError, TrainstackError

INTERRUPTED = 130

app = typer.Typer(
    name="trainstack",
    help="Which stack of training choices should I use on this data, and how sure are we?",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
launching.register(app)
looking.register(app)
concluding.register(app)
steering.register(app)
spacing.register(app)


def main(argv: list[str] | None = None) -> None:
    """Run the command and leave with the contract's exit code."""
    raise SystemExit(run(sys.argv[1:] if argv is None else argv))


def run(argv: list[str]) -> int:
    """Run the command; return its exit code. Users cause no traceback: ours are bugs."""
    command = typer.main.get_command(app)
    try:
        code = command.main(args=argv, prog_name="trainstack", standalone_mode=False)
    except TrainstackError as error:
        return _say(str(error), error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _say("interrupted", INTERRUPTED)
    except typer.Exit as leave:
        return leave.exit_code
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())  # noqa: T201 - the help that was asked for
            return 0
        return _say(" ".join(error.format_message().split()), RequestError.exit_code)
    except BrokenPipeError:
        # Whoever read our output has had enough: `trainstack trials … | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def _say(message: str, code: int) -> int:
    line = " ".join(message.split())
    print(f"trainstack: {line}", file=sys.stderr)  # noqa: T201 - the one line on an error
    return code
