"""`bench`: how fast this is, beside other ways to the same answers, on this machine."""

from pathlib import Path

import typer

from infra.cli.output import console
from infra.settings import load_settings

TRAINING_ARMS = "listune,trl"
STREAM_ARMS = "confluent,faust,listune,steady,pool"
ARMS = "naive,openvino,vllm,free,constrained"


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
    app.add_typer(bench, name="bench")


def _benchmarks() -> None:
    """Measure this machine; what comes out names machine, commit and command."""


def serving(
    quick: bool = typer.Option(False, help="two listings an arm, to try; kept under runs/bench"),
    arms: str = typer.Option(ARMS, help="which arms to run, with commas between"),
    flipkart: Path | None = typer.Option(
        None, help="folder of the real catalog (listings.jsonl, schema.json)"
    ),
) -> None:
    """Answer the same listings by our engine, naive JSON, OpenVINO and vLLM, and compare."""
    # Imported here: it brings matplotlib, which the other commands do without.
    from infra.lab.bench import listings
    from infra.lab.bench.serving import run as benchmark

    folder = flipkart or listings.FLIPKART
    benchmark.run(load_settings(), benchmark.Chosen(_names(arms), folder, quick), console)


def training(
    quick: bool = typer.Option(False, help="one listing, one step, to try; kept under runs/bench"),
    arms: str = typer.Option(TRAINING_ARMS, help="which arms to run, with commas between"),
    flipkart: Path | None = typer.Option(
        None, help="folder of the real catalog (listings.jsonl, schema.json)"
    ),
) -> None:
    """Fine-tune on the same listings by our trainer and by TRL's SFTTrainer, and compare."""
    # Imported here: it brings torch, which the other commands do without.
    from infra.lab.bench import listings
    from infra.lab.bench.training import run as benchmark

    folder = flipkart or listings.FLIPKART
    benchmark.run(load_settings(), benchmark.Chosen(_names(arms), folder, quick), console)


def stream(
    quick: bool = typer.Option(False, help="few events, to try; kept under runs/bench"),
    arms: str = typer.Option(STREAM_ARMS, help="which arms to run, with commas between"),
) -> None:
    """Take events from Kafka into DuckDB by bare loops and by our curate worker, and compare."""
    from infra.lab.bench.stream import run as benchmark

    benchmark.run(load_settings(), benchmark.Chosen(_names(arms), quick), console)


def _names(arms: str) -> tuple[str, ...]:
    return tuple(filter(None, arms.replace(" ", "").split(",")))


def gate(
    quick: bool = typer.Option(False, help="few candidates, to try; kept under runs/bench"),
) -> None:
    """Simulate how often the gate promotes what is no better, and what is."""
    from infra.lab.bench.gate import run as benchmark

    benchmark.run(load_settings(), benchmark.Chosen(quick), console)
