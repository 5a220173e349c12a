"""`python -m search.cli`: the command, where no script is installed."""

from search.cli.main import main

main()
