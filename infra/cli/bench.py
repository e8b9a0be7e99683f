"""`bench`: how fast this is, beside other ways to the same answers, on this machine."""

from pathlib import Path

import typer

from infra.cli.output import console
from infra.lab.bench.arms import (
    FLIPKART_FOLDER,
    SERVING_ARMS,
    STREAM_ARMS,
    TRAINING_ARMS,
    chosen_arms,
)
from infra.settings import load_settings

ARMS = "which arms to run, with commas between"
REAL = "folder of the real catalog (listings.jsonl, schema.json)"


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    bench = typer.Typer(
        no_args_is_help=True,
        help="Measure this machine; what comes out names machine, commit and command.",
        epilog="Example: `listune bench serving --quick`",
    )
    bench.callback()(_benchmarks)
    bench.command(
        epilog="Examples: `listune bench serving` · `listune bench serving --quick` · "
        "`listune bench serving --arms free,naive`"
    )(serving)
    bench.command(epilog="Examples: `listune bench training` · `listune bench training --quick`")(
        training
    )
    bench.command(
        epilog="Examples: `listune bench stream` · `listune bench stream --quick` · "
        "`listune bench stream --arms faust,listune`"
    )(stream)
    bench.command(epilog="Examples: `listune bench gate` · `listune bench gate --quick`")(gate)
    bench.command(epilog="Examples: `listune bench drift` · `listune bench drift --quick`")(drift)
    bench.command(epilog="Examples: `listune bench arms` · `listune bench arms --quick`")(arms)
    bench.command(epilog="Examples: `listune bench canary` · `listune bench canary --quick`")(
        canary
    )
    bench.command(epilog="Examples: `listune bench shadow` · `listune bench shadow --quick`")(
        shadow
    )
    bench.command(epilog="Examples: `listune bench audit` · `listune bench audit --quick`")(audit)
    bench.command(epilog="Examples: `listune bench pictures` · `listune bench pictures --quick`")(
        pictures
    )
    app.add_typer(bench, name="bench")


def _benchmarks() -> None:
    """Measure this machine; what comes out names machine, commit and command."""


def serving(
    quick: bool = typer.Option(False, help="two listings an arm, to try; kept under runs/bench"),
    arms: str = typer.Option(",".join(SERVING_ARMS), help=ARMS),
    flipkart: Path = typer.Option(FLIPKART_FOLDER, help=REAL, show_default=False),
) -> None:
    """Answer the same listings by our engine, naive JSON, OpenVINO and vLLM, and compare."""
    chosen = chosen_arms(arms, SERVING_ARMS)
    # Imported here: it brings torch and matplotlib, which the other commands do without.
    from infra.lab.bench.serving.run import run

    run(load_settings(), console, chosen, flipkart, quick)


def training(
    quick: bool = typer.Option(False, help="one listing, one step, to try; kept under runs/bench"),
    arms: str = typer.Option(",".join(TRAINING_ARMS), help=ARMS),
    flipkart: Path = typer.Option(FLIPKART_FOLDER, help=REAL, show_default=False),
) -> None:
    """Fine-tune on the same listings by our trainer and by TRL's SFTTrainer, and compare."""
    chosen = chosen_arms(arms, TRAINING_ARMS)
    from infra.lab.bench.training.run import run

    run(load_settings(), console, chosen, flipkart, quick)


def stream(
    quick: bool = typer.Option(False, help="few events, to try; kept under runs/bench"),
    arms: str = typer.Option(",".join(STREAM_ARMS), help=ARMS),
) -> None:
    """Take events from Kafka into DuckDB by bare loops and by our curate worker, and compare."""
    chosen = chosen_arms(arms, STREAM_ARMS)
    from infra.lab.bench.stream.run import run

    run(load_settings(), console, chosen, quick)


def gate(
    quick: bool = typer.Option(False, help="few candidates, to try; kept under runs/bench"),
) -> None:
    """Simulate how often the gate promotes what is no better, and what is."""
    from infra.lab.bench.gate.run import run

    run(load_settings(), console, quick)


def arms(quick: bool = typer.Option(False, help="few runs, to try; kept under runs/bench")) -> None:
    """Simulate how often the statistics of live traffic are wrong, and how soon they are right."""
    from infra.lab.bench.live.run import run

    run(console, quick)


def drift(
    quick: bool = typer.Option(False, help="few runs, to try; kept under runs/bench"),
) -> None:
    """Simulate how seldom the drift alarm is false, and how soon it sees a fall of acceptance."""
    from infra.lab.bench.drift.run import run

    run(load_settings(), console, quick)


def canary(
    quick: bool = typer.Option(False, help="two canaries, to try; kept under runs/bench"),
) -> None:
    """Try worse adapters on sellers of the real stack, and see how soon they are taken back."""
    from infra.lab.canary.run import run

    run(console, quick)


def shadow(
    quick: bool = typer.Option(False, help="two short blocks, to try; kept under runs/bench"),
) -> None:
    """Let an adapter on trial answer beside sellers, and see whether they wait longer for it."""
    from infra.lab.shadow.run import run

    run(console, quick)


def audit(
    quick: bool = typer.Option(False, help="few audits, to try; kept under runs/bench"),
) -> None:
    """Simulate how narrow and how honest an audit's interval is, and how many values it needs."""
    from infra.lab.bench.audit.run import run

    run(load_settings(), console, quick)


def pictures(
    quick: bool = typer.Option(False, help="small pictures, to try; kept under runs/bench"),
) -> None:
    """Check and shrink pictures of every kind, and refuse bombs: milliseconds and memory."""
    from infra.lab.bench.pictures.run import run

    run(console, quick)
