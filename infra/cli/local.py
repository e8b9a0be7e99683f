"""`fetch`, `up`, `down`, `status`: the stack on this machine."""

import time
from pathlib import Path

import typer
from rich.table import Table

from infra import stack
from infra.cli.output import console
from infra.health import look
from infra.history.handover import hand_over
from infra.local.fetch import ensure_all, ensure_encoder
from infra.local.state import live_state, stop
from infra.settings import ACTIVE, RUNS, active_settings, load_settings
from schemas.errors import ListuneError


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.command(epilog="Example: `listune fetch --verify`")(fetch)
    app.command(epilog="Example: `LISTUNE_STREAMS__K=50 listune up`")(up)
    app.command(epilog="Example: `listune down`")(down)
    app.command(epilog="Example: `listune status`")(status)


def fetch(
    verify: bool = typer.Option(False, help="compare every hash, not only the sizes"),
) -> None:
    """Bring Kafka, Triton, the base model and the picture encoder into the cache.

    A second run takes seconds.
    """
    settings = load_settings().local
    ensure_all(settings, console, verify=verify)
    ensure_encoder(settings.cache_dir, console, verify=verify)


def up(
    run_dir: Path = typer.Option(RUNS / "local", help="the stack's folder"),
) -> None:
    """Start the whole stack in the foreground; Ctrl-C stops all of it.

    One that never had a champion begins with what `listune bootstrap` left in its folder.
    """
    if live_state(ACTIVE) is not None:
        raise ListuneError("a stack is up already; stop it with `listune down`")
    settings = load_settings()
    parts = stack.ensure_parts(settings, console)
    resolved = stack.resolve(settings, run_dir, parts, console)
    with stack.running(resolved, run_dir, parts, console) as supervisor:
        if (begins_with := hand_over(resolved, run_dir)) is not None:
            console.print(f"It begins with {begins_with}, from history.", highlight=False)
        console.print("Everything is up. Stop it with Ctrl-C or `listune down`.")
        while True:
            supervisor.check()
            time.sleep(0.2)


def down() -> None:
    """Stop the stack that runs on this machine, from another terminal."""
    with console.status("Stopping…"):
        was_up = stop(ACTIVE)
    console.print("Stopped." if was_up else "Nothing is up.")


def status() -> None:
    """Show the processes and their health, and in one line what the loop waits for."""
    state = live_state(ACTIVE)
    if state is None:
        console.print("Nothing is up; start it with `listune up`.")
        raise typer.Exit(1)
    table = Table("process", "state", "health", "pid", "restarts", "ports", "log")
    for name, process in state["processes"].items():
        ports = " ".join(f"{use}:{port}" for use, port in process["ports"].items())
        port = process["ports"].get("health")
        health = (look(port) or "no answer") if port else ""
        about = [process[key] for key in ("pid", "restarts")]
        table.add_row(*map(str, [name, process["state"], health, *about, ports, process["log"]]))
    console.print(table)
    loop = stack.loop_status(active_settings())
    console.print(f"[bold]{loop.pop('status')}[/]", highlight=False)
    console.print(", ".join(f"{k} {v}" for k, v in loop.items()), highlight=False, style="dim")
