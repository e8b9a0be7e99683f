"""The `listune` command; an error is one sentence that says what to do, without a traceback."""

import os
import sys

import typer
from rich.console import Console

from infra.cli import (
    audit,
    bench,
    chaos,
    check,
    demo,
    drift,
    endpoint,
    evaluate,
    experiment,
    forget,
    history,
    importing,
    letters,
    listings,
    local,
    models,
    pool,
    proposals,
    schema_changes,
    schema_sources,
    wire,
    worker,
)
from infra.local.errors import LocalError
from schemas.errors import ListuneError

app = typer.Typer(
    name="listune",
    help="A listing assistant that fine-tunes itself on what sellers accept and edit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
local.register(app)
demo.register(app)
listings.register(app)
models.register(app)
importing.register(app)
check.register(app)
history.register(app)
letters.register(app)
forget.register(app)
wire.register(app)
pool.register(app)
schema_changes.register(app)
schema_sources.register(app)
drift.register(app)
proposals.register(app)
evaluate.register(app)
endpoint.register(app)
audit.register(app)
bench.register(app)
chaos.register(app)
experiment.register(app)
worker.register(app)


def main() -> None:
    """Run the command line; errors that a person can mend are printed as one sentence."""
    # Several processes share the cores, and a thread of PyTorch's that waits by spinning takes one
    # from all of them: on two busy cores a listing took 66 s so, and 5 s asleep. Children inherit.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Asleep at once is too soon, though: 50 rows took 39 ms through the layers, and 33 ms when
    # threads wait some microseconds first. Ten times as long, and two processes ruin each other.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        app()
    except (ListuneError, LocalError) as error:
        if os.environ.get("LISTUNE_TRACEBACK"):
            raise
        Console(stderr=True).print(f"[bold red]listune:[/] {error}", highlight=False)
        sys.exit(1)
    except OSError as error:
        if error.errno != 28 or os.environ.get("LISTUNE_TRACEBACK"):  # ENOSPC
            raise
        Console(stderr=True).print("[bold red]listune:[/] no space left on the disk; free some.")
        sys.exit(1)
