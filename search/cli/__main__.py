"""Entry point of the command: set up streams and signals before the slow imports."""

from __future__ import annotations

from trainstack.search.cli import signals
from trainstack.search.processes import open_streams


def main() -> None:
    """Run the command and exit with its documented code, even when interrupted early."""
    open_streams()
    signals.install()
    try:
        from trainstack.search.cli.main import main as command

        command()
    except BaseException:
        # A library may have replaced the KeyboardInterrupt by an exception of its own.
        if signals.interrupted():
            raise SystemExit(signals.INTERRUPTED) from None
        raise
    finally:
        signals.ignore()


if __name__ == "__main__":
    main()
