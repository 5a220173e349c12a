"""The command's entry: streams and signals first, then everything that takes time to import."""

from __future__ import annotations

from search.cli import leaving
from search.processes import open_streams


def main() -> None:
    """Run the command and leave with the contract's exit code, at every moment."""
    open_streams()
    leaving.heed()
    try:
        from search.cli.main import main as command

        command()
    except BaseException:
        # Whatever a library made of the interruption
        if leaving.told():
            raise SystemExit(leaving.INTERRUPTED) from None
        raise
    finally:
        leaving.ignore()


if __name__ == "__main__":
    main()
