"""`python -m dgnet` is the command line."""

from dgnet.cli import main

main()
