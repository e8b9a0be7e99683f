"""The `listune` command; an error is one sentence that says what to do, without a traceback."""

import errno
import os
import sys
from typing import NoReturn

import typer
from rich.console import Console
from rich.text import Text

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

_OF_A_PATH = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
}
"""Faults of the path that a person gave, not of the program."""

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
        _end_with(str(error))
    except OSError as error:
        if os.environ.get("LISTUNE_TRACEBACK"):
            raise
        if error.errno == errno.ENOSPC:
            _end_with("no space left on the disk; free some.")
        if error.errno in _OF_A_PATH and error.filename is not None:
            said = f"{error.filename}: {error.strerror}; give another path"
            _end_with(f"{said}, or see that this one can be used")
        raise


def _end_with(sentence: str) -> NoReturn:
    # As text: the names in it are a person's own, and a bracket in one is no markup.
    said = Text.assemble(("listune:", "bold red"), " ", sentence)
    Console(stderr=True).print(said)
    sys.exit(1)
