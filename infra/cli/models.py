"""`sql`, `models`, `retrain`, `promote`, `rollback`: look at the loop, and steer it by hand.

Steering never writes state: it sends a request event, and the conductor, the one writer of the
champion alias, acts on it.
"""

from pathlib import Path

import typer
from rich.table import Table

from infra.cli.output import cell, console
from infra.settings import active_settings
from schemas.errors import ListuneError
from schemas.events import ModelEvent, ModelEventKind
from schemas.topic_names import MODEL_EVENTS
from streams.kafka.publisher import Publisher
from streams.sql.client import query


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.command(epilog='Example: `listune sql "FROM pool LIMIT 5"`')(sql)
    app.command(epilog="Examples: `listune models` · `listune models --losses losses.png`")(models)
    app.command(epilog="Example: `listune retrain`")(retrain)
    app.command(epilog="Example: `listune promote default-r2-a1`")(promote)
    app.command(epilog="Example: `listune rollback default-r1-a1`")(rollback)


def sql(statement: str = typer.Argument(help="one SELECT over the documented views")) -> None:
    """Ask the live pool, read-only; works beside any load."""
    columns, rows = query(active_settings().streams, statement)
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(cell, row))
    console.print(table)


def models(
    losses: Path | None = typer.Option(
        None, help="draw the training losses of all rounds here into this PNG file, and no list"
    ),
    by_inputs: bool = typer.Option(
        False, help="their figures by what was seen of a listing: text, picture or both"
    ),
) -> None:
    """List the adapters, their parents, their figures and the champion."""
    if by_inputs:
        sql("FROM models_by_inputs")
        return
    if losses is None:
        sql("FROM models")
        return
    # Imported here: it brings matplotlib, which the other commands do without.
    from trainer.loss_plot import plot_losses, read_rounds

    drawn = read_rounds(active_settings().trainer.work_dir)
    console.print(f"{len(drawn)} rounds are drawn in {plot_losses(drawn, losses)}")


def retrain() -> None:
    """Ask for a round now, also when the trigger is paused."""
    _ask(ModelEventKind.RETRAIN_REQUESTED, None)


def promote(adapter_id: str = typer.Argument(help="a published adapter; see `models`")) -> None:
    """Ask the conductor to move the champion alias to a published adapter."""
    _ask(ModelEventKind.PROMOTION_REQUESTED, adapter_id)


def rollback(
    adapter_id: str = typer.Argument("", help="an earlier champion; empty = the one before"),
) -> None:
    """Ask the conductor to move the champion alias back."""
    _ask(ModelEventKind.ROLLBACK_REQUESTED, adapter_id or None)


def _ask(kind: ModelEventKind, adapter_id: str | None) -> None:
    streams = active_settings().streams
    event = ModelEvent(
        kind=kind, pool=streams.pool, round=0, adapter_id=adapter_id, worker="person"
    )
    publisher = Publisher(streams, client_id="listune-cli")
    try:
        publisher.send(MODEL_EVENTS, event.key(), event.to_bytes()).result(30.0)
    except TimeoutError:
        raise ListuneError(
            f"no Kafka answers at {streams.bootstrap_servers}; start the stack with `listune up`"
        ) from None
    finally:
        publisher.close()
    console.print("asked; `listune status` and `listune models` show what comes of it")
