"""`evaluate`: an adapter on held-out listings, alone or beside what it has to beat."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from infra.cli.output import console
from infra.local.state import live_state
from infra.settings import ACTIVE, Settings, load_settings, read_settings
from schemas.events import BASE_ADAPTER

if TYPE_CHECKING:
    from serving.adapter_file import AdapterFile
    from trainer.judging.evaluate import Evaluation

OUT = Path("runs/evaluate")


def register(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(
        epilog="Examples: `listune evaluate --adapter default-r2-a1 --heldout heldout.jsonl` · "
        "`listune evaluate --adapter default-r2-a1 --against default-r1-a1 --heldout heldout.jsonl "
        "--baselines --train train.jsonl`"
    )(evaluate)


def evaluate(
    heldout: Path = typer.Option(help="JSONL of listings to judge on, as in `trainer.heldout`"),
    adapter: str = typer.Option(BASE_ADAPTER, help="an adapter of the registry, or `base`"),
    against: str = typer.Option("", help="another one, to compare with listing by listing"),
    baselines: bool = typer.Option(
        False, help="also the base in two ways, and the endpoint of evaluation.endpoint"
    ),
    train: Path | None = typer.Option(
        None,
        help="JSONL of training listings: also the base with the nearest one as an example, "
        "majority value, nearest listing and, with serving.encoder, nearest picture",
    ),
    registry: Path | None = typer.Option(None, help="folder of adapters, if not the settings'"),
    out: Path = typer.Option(OUT, help="folder for the tables, their data and the picture"),
) -> None:
    """Judge an adapter on held-out listings: shares with intervals, calibration, time, cost."""
    # Imported here: it brings torch, which the other commands do without.
    from trainer.data.dataset import read_heldout
    from trainer.judging import arms
    from trainer.judging.comparison import rich_table
    from trainer.judging.comparison_report import compare, write_comparison
    from trainer.judging.encoder_vectors import EncoderVectors
    from trainer.judging.judge import judging
    from trainer.progress import RoundProgress

    settings = _settings(heldout, registry)
    encoder = settings.serving.encoder
    judged = {name: _adapter(settings, name) for name in dict.fromkeys([against, adapter]) if name}
    rows = read_heldout(heldout)
    evaluations: dict[str, Evaluation] = {}
    with (
        RoundProgress(out / "progress.json", settings.trainer.progress) as progress,
        judging(settings.trainer, settings.serving, rows, out / "engine", progress) as judge,
    ):
        if baselines:
            evaluations |= arms.base_arms(judge)
            evaluations |= arms.endpoint_arm(judge, settings.evaluation.endpoint, settings.serving)
        if train is not None:
            vectors = EncoderVectors(Path(encoder)) if encoder else None
            evaluations |= arms.fitted_arms(judge, read_heldout(train), vectors)
        for file in judged.values():
            evaluations |= arms.adapter_arm(judge, file)
    reference = against or next(iter(evaluations))
    found = {name: file.calibration for name, file in judged.items() if file}
    calibrations = {name: made for name, made in found.items() if made}
    cost = settings.trainer.cost_of_wrong
    comparison = compare(evaluations, reference, cost, settings.evaluation.prices, calibrations)
    write_comparison(comparison, out)
    console.print(
        rich_table(comparison.rows, title=f"{comparison.rows[0].listings} held-out listings")
    )
    console.print(f"tables, data and picture are in {out}")


def _settings(heldout: Path, registry: Path | None) -> Settings:
    """Those of the stack that is up here, else the environment's; with a base model."""
    up = live_state(ACTIVE) is not None
    settings = read_settings(ACTIVE / "settings.json") if up else load_settings()
    if not settings.serving.base_model:
        from infra.local.fetch import ensure_base_model

        local = settings.local
        base = ensure_base_model(local.cache_dir, local.base_model, console)
        settings = settings.changed(serving={"base_model": str(base)})
    folder = registry or settings.trainer.registry_dir
    return settings.changed(trainer={"heldout": heldout, "registry_dir": folder})


def _adapter(settings: Settings, name: str) -> "AdapterFile | None":
    """The adapter called `name`; None for the base."""
    from trainer.data.registry import Registry

    if name == BASE_ADAPTER:
        return None
    return Registry(settings.trainer.registry_dir).get(name).read()
