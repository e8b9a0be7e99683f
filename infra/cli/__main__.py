"""`python -m infra.cli` is the `listune` command."""

from infra.cli.app import main

main()
