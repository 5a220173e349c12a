"""The command's entry: streams and signals first, then everything that takes time to import."""

from __future__ import annotations

from trainstack.search.cli import signals
from trainstack.search.processes import open_streams


def main() -> None:
    """Run the command and leave with the contract's exit code, at every moment."""
    open_streams()
    signals.heed()
    try:
        from trainstack.search.cli.main import main as command

        command()
    except BaseException:
        # Whatever a library made of the interruption
        if signals.told():
            raise SystemExit(signals.INTERRUPTED) from None
        raise
    finally:
        signals.ignore()


if __name__ == "__main__":
    main()
