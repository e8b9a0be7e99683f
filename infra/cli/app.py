"""The `listune` command; an error is one sentence that says what to do, without a traceback."""

import errno
import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import typer
import typer.main
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from infra.local.errors import LocalError
from schemas.errors import ListuneError

_OF_A_PATH = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
}
"""Faults of the path that a person gave, not of the program."""

_MODULE = {
    **dict.fromkeys(("fetch", "up", "down", "status"), "local"),
    "demo": "demo",
    **dict.fromkeys(("request", "review"), "listings"),
    **dict.fromkeys(("sql", "models", "retrain", "promote", "rollback"), "models"),
    "import": "importing",
    "check": "check",
    "bootstrap": "history",
    "forget": "forget",
    "asyncapi": "wire",
    "replay": "pool",
    "drift": "drift",
    "evaluate": "evaluate",
    "chaos": "chaos",
    "letters": "letters",
    "schemas": "schema_changes",
    "schema": "schema_sources",
    "proposals": "proposals",
    "endpoint": "endpoint",
    "audit": "audit",
    "bench": "bench",
    "experiment": "experiment",
    "worker": "worker",
}
"""The module of this package that has each command, in the order of the help."""


class _Commands(TyperGroup):
    """Imports a command's module when that command is wanted: all of them take more than a second,
    which each worker of the stack would pay at its start."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_MODULE)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        # To a name that is none the likest of all names is suggested.
        for name in [cmd_name] if cmd_name in _MODULE else _MODULE:
            if name not in self.commands:
                self._load(_MODULE[name])
        return self.commands.get(cmd_name)

    def _load(self, module: str) -> None:
        part = typer.Typer(rich_markup_mode=self.rich_markup_mode)
        import_module(f"infra.cli.{module}").register(part)
        self.commands.update(typer.main.get_group(part).commands)


app = typer.Typer(
    name="listune",
    cls=_Commands,
    help="A listing assistant that fine-tunes itself on what sellers accept and edit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback()
def _listune() -> None:
    """Makes `app` a group though it has no command yet."""


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
