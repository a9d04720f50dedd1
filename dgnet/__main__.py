"""`python -m dgnet` is the command line."""

from dgnet.commands.cli import main

main()
