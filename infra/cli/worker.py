"""`worker`: one process of the stack, as the supervisor starts it."""

import logging
from pathlib import Path

import typer

from infra.settings import ACTIVE, read_settings
from schemas.errors import ListuneError

WORKERS = ("predict", "curate", "trainer", "sql")


def register(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(hidden=True)(worker)


def worker(
    name: str = typer.Argument(help=f"one of {', '.join(WORKERS)}"),
    settings: Path = typer.Option(ACTIVE / "settings.json", help="the running stack's settings"),
    number: int = typer.Option(1, help="which one of several predict or curate workers this is"),
    health_port: int = typer.Option(-1, help="its health port; by default that of the settings"),
) -> None:
    """Run one worker in the foreground; SIGTERM stops it."""
    if not settings.is_file():
        raise ListuneError(f"there is no {settings}; workers are started by `listune up`")
    chosen = read_settings(settings)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # Imported here: a worker should not pay for, or depend on, the packages of another.
    match name:
        case "predict":
            from streams.predict import app as predict

            if health_port >= 0:
                chosen = chosen.changed(streams={"predict_health_port": health_port})
            predict.main(chosen.streams, chosen.serving, str(number))
        case "curate":
            from streams.curate import app as curate

            if health_port >= 0:
                chosen = chosen.changed(streams={"curate_health_port": health_port})
            curate.main(chosen.streams, str(number), chosen.serving.looking.store)
        case "sql":
            from streams.sql import http as sql_http
            from streams.sql import server as sql_server

            with sql_http.serving(chosen.streams):
                sql_server.main(chosen.streams)
        case "trainer":
            from trainer import worker as trainer_worker

            trainer_worker.main(chosen.trainer, chosen.serving, chosen.kafka_for_trainer())
        case _:
            raise ListuneError(f"there is no worker {name!r}; it is one of {', '.join(WORKERS)}")
