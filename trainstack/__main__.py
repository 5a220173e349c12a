"""`python -m trainstack`: the command."""

from trainstack.search.cli.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main())
