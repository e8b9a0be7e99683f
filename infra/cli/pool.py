"""`replay`: the pool rebuilt from the topics, compared with the live one, or put in its place."""

from contextlib import ExitStack

import typer
from rich import box
from rich.table import Table

from infra.cli.output import console
from infra.progress import bar
from infra.settings import RUNS, SettingsError, active_settings
from infra.stack import broker_alone
from schemas.errors import ListuneError
from schemas.sources.json_schema import read_schemas
from streams.replay.fingerprint import TABLES
from streams.replay.rebuild import Replayed, accept_deleted, replay_and_swap
from streams.replay.rebuild import replay as replay_beside
from streams.settings import StreamsSettings


def register(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(epilog="Examples: `listune replay` · `listune replay --swap`")(replay)


def replay(
    swap: bool = typer.Option(
        False, help="put the rebuilt pool in the live one's place; no curate worker may have it"
    ),
    accept: bool = typer.Option(
        False,
        "--accept-deleted",
        help="rebuild nothing: let the live pool go on where retention deleted what it expects",
    ),
) -> None:
    """Rebuild the pool from the topics beside the live one, and compare the two.

    Ends with code 1 where they differ and the rebuilt one was not put in place.
    """
    if swap and accept:
        raise ListuneError("give --swap or --accept-deleted: they are two ways out of one trouble")
    with ExitStack() as ending:
        streams = _settings(ending)
        schemas = read_schemas(streams.schema_path)
        if accept:
            gone = accept_deleted(streams, schemas)
            for line in gone or ["nothing that the pool expects was deleted"]:
                console.print(line, highlight=False)
            return
        progress = ending.enter_context(bar(console))
        task = progress.add_task("records")

        def tell(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        rebuild = replay_and_swap if swap else replay_beside
        done = rebuild(streams, schemas, tell)
    show(done)
    if not swap and done.live is not None and not done.equal:
        raise typer.Exit(1)


def _settings(ending: ExitStack) -> StreamsSettings:
    """Of the stack that is up or named; else of the one that was up here, whose broker starts.

    A worker that refuses its pool takes a local stack down, and the broker with it.
    """
    try:
        return active_settings().streams
    except SettingsError:
        last = RUNS / "local"
        if not (last / "settings.json").is_file():
            raise
    return ending.enter_context(broker_alone(last, console)).streams


def show(done: Replayed) -> None:
    """Print rows and hashes, table by table."""
    table = Table(
        "table", title="of the window that the topics keep", box=box.SIMPLE_HEAD, padding=0
    )
    for column in ("rows live", "rows rebuilt"):
        table.add_column(column, justify="right")
    for column in ("hash live", "hash rebuilt", ""):
        table.add_column(column)
    for name in TABLES:
        rebuilt, live = done.rebuilt[name], done.live.get(name) if done.live is not None else None
        equal = "" if live is None else "equal" if live == rebuilt else "[red]differs[/]"
        rows = "" if live is None else str(live.rows)
        hash_ = "" if live is None else str(live)
        table.add_row(name, rows, str(rebuilt.rows), hash_, str(rebuilt), equal)
    console.print(table)
    if done.live is None:
        console.print(f"nothing to compare with: {done.why_not_compared}", highlight=False)
    if done.other_schemas:
        console.print(
            "samples are not compared: the live pool measures by other category schemas than the "
            "file has, or is not through with a change; see `listune status`, and try again",
            highlight=False,
        )
    if done.outside:
        console.print(
            f"{done.outside} listings of the live pool began before that window: "
            "the rebuilt pool lacks them, or part of what was said of them",
            highlight=False,
        )
    console.print(f"the rebuilt pool is {done.path}", highlight=False)
