"""`python -m streams.cli`, the same as `keepstream`."""

from streams.cli import main

main()
