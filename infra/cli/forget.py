"""`forget`: a listing out of the pool, the rounds' files and whatever comes later."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import typer
from rich.table import Table

from infra.cli.output import cell, console
from infra.settings import active_settings
from schemas.events import HISTORY_POOL
from streams.forgotten import ask_to_forget
from streams.kafka.topics import SEGMENTS
from streams.pool.state import CLOSED_STATES
from streams.settings import StreamsSettings
from streams.sql.client import SqlError, query

ASK_EVERY_S = 0.5


def register(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(epilog="Example: `listune forget 4711 --seller acme`")(forget)


def forget(
    listing_id: str = typer.Argument(help="the listing's identity, as its service gave it"),
    seller: str | None = typer.Option(
        None, help="the seller's identity, where the listing's events have one"
    ),
    wait: float = typer.Option(60.0, min=0, help="seconds to wait until the pool has done it"),
) -> None:
    """Forget a listing for good, and show which adapters were trained on it."""
    streams = active_settings().streams
    asked = ask_to_forget(streams, listing_id, seller)
    with console.status("waiting for the pool"):
        record = _record(streams, asked.listing_sha256, wait)
    until = datetime.now(UTC) + timedelta(hours=streams.retention_hours * (1 + 1 / SEGMENTS))
    if record is None:
        console.print(
            "Asked, and kept by Kafka: it is done as soon as the curate worker is up. "
            'See `listune sql "FROM forgotten"`, or ask again.'
        )
    else:
        console.print("It is out of the pool and of the rounds' files, and stays out.")
        _show_rounds(streams, record)
        _show_adapters(streams, record)
    console.print(
        f"Kafka has what was sent until {until:%Y-%m-%d %H:%M} UTC at the latest; "
        f"the record is kept as {asked.listing_sha256}.",
        highlight=False,
    )


def _record(streams: StreamsSettings, digest: str, wait: float) -> dict[str, Any] | None:
    """The listing's row of the view `forgotten` once the pool is done; None if not in time."""
    end = time.monotonic() + wait
    while True:
        try:
            found = _rows(streams, f"FROM forgotten WHERE listing_sha256 = '{digest}' AND settled")
        except SqlError:
            found = []  # the endpoint comes and goes with the curate worker
        if found:
            return found[0]
        if time.monotonic() > end:
            return None
        time.sleep(ASK_EVERY_S)


def _show_rounds(streams: StreamsSettings, record: dict[str, Any]) -> None:
    for round_ in _rows(streams, "SELECT round, state FROM rounds"):
        if round_["round"] in record["rounds"] and round_["state"] not in CLOSED_STATES:
            console.print(
                f"Round {round_['round']} is under way ({round_['state']}) and may have read it "
                "before; what comes out of it will stand in the view `forgotten`."
            )


def _show_adapters(streams: StreamsSettings, record: dict[str, Any]) -> None:
    learnt = {*record["adapters"], *record["descendants"]}
    models = _rows(streams, "SELECT adapter_id, round, published, champion FROM models")
    history = [m["adapter_id"] for m in models if m["adapter_id"].startswith(f"{HISTORY_POOL}-")]
    if history:
        console.print(
            f"The record does not know what {', '.join(history)} from history learnt: if your "
            "catalog had the listing, they may have learnt it, and all that was trained from them. "
            "`listune rollback base` answers by none of them."
        )
    if not learnt:
        console.print(f"No {'round of the stack' if history else 'adapter'} was trained on it.")
        return
    table = Table("adapter", "round", "learnt it", "champion")
    for model in models:
        if model["adapter_id"] in learnt:
            how = "itself" if model["adapter_id"] in record["adapters"] else "from its parent"
            champion = "yes" if model["champion"] else ""
            table.add_row(model["adapter_id"], cell(model["round"]), how, champion)
    console.print(table)
    if any(model["champion"] and model["adapter_id"] in learnt for model in models):
        others = [
            m["adapter_id"]
            for m in models
            if m["published"] and m["adapter_id"] not in {*learnt, *history}
        ]
        console.print(
            f"To answer by one that never saw it: `listune rollback {others[-1]}`; the next round "
            "then starts from there, without the listing."
        )


def _rows(streams: StreamsSettings, statement: str) -> list[dict[str, Any]]:
    columns, rows = query(streams, statement)
    return [dict(zip(columns, row, strict=True)) for row in rows]
