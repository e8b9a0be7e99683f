"""`chaos`: the stack under fire, and every event accounted for."""

import time

import typer

from infra.cli.output import console
from infra.settings import RUNS


def register(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(
        epilog="Examples: `listune chaos` · `listune chaos --kills 10` · "
        "`listune chaos --kills 30 --workers 2`"
    )(chaos)


def chaos(
    kills: int = typer.Option(100, min=1, help="SIGKILLs; from 100 on the result is kept"),
    seed: int = typer.Option(7, help="seed of the kills, the catalog, the sellers and the model"),
    rate: float = typer.Option(1.0, min=0.1, help="new listings a second"),
    workers: int = typer.Option(1, min=1, help="of predict"),
) -> None:
    """Kill broker, Triton and workers at random under load, then account for every event.

    Ends with code 1 if an event is lost, doubled, unanswered, failed, or not to be explained.
    """
    # Imported here: it brings torch, which other commands do without.
    from infra.lab.chaos.run import ChaosPlan, run

    run_dir = RUNS / "chaos" / time.strftime("%Y-%m-%dT%H-%M-%S")
    if not run(ChaosPlan(kills, seed, rate, workers), run_dir, console).clean:
        raise typer.Exit(1)
