"""`bootstrap`: a first adapter from listings that were filled in before Listune came."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from infra.catalogs.catalog import read_products
from infra.catalogs.rejected_file import rejected_file, where_rejected
from infra.cli.output import console
from infra.history.parts import part
from infra.local.fetch import ensure_base_model
from infra.local.state import live_state
from infra.settings import RUNS, SettingsError, load_settings
from schemas.errors import ListuneError
from schemas.events import Interval
from schemas.sources.json_schema import read_schemas
from streams.settings import StreamsSettings

if TYPE_CHECKING:
    from infra.history.rounds import Outcome


def register(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(
        epilog="Examples: `listune bootstrap products.jsonl --schema schema.json` · "
        "`listune bootstrap products.jsonl --schema schema.json --rounds 4`"
    )(bootstrap)


def bootstrap(
    catalog: Path = typer.Argument(help="your products, one JSON object a line"),
    schema: Path = typer.Option(help="the category schemas of that catalog, JSON"),
    run_dir: Path = typer.Option(RUNS / "local", help="the folder of the stack that is to begin"),
    rounds: int | None = typer.Option(None, min=1, help="rounds in all; as `history.rounds`"),
    k: int | None = typer.Option(None, min=1, help="listings a round; as `streams.k`"),
    alternatives: bool = typer.Option(
        False, help="several catalog values of one attribute are alternative spellings"
    ),
    strict: bool = typer.Option(False, help="the first wrong line stops it"),
    most_rejected: float | None = typer.Option(
        None, min=0, max=1, help="the share of lines that may be wrong; else demo.most_rejected"
    ),
) -> None:
    """Train a first adapter on historic listings; the same command goes on where it stopped.

    The base is asked about listings of the catalog, rounds are trained on those that it does worst
    on and judged on listings that are held out, by the rules of the loop. `listune up` begins with
    what the gate lets through.
    """
    if live_state(run_dir) is not None:
        raise ListuneError(f"a stack is up in {run_dir}; stop it with `listune down`")
    settings = load_settings()
    settings = settings.changed(
        streams={} if k is None else {"k": k},
        history={} if rounds is None else {"rounds": rounds},
        demo={} if most_rejected is None else {"most_rejected": most_rejected},
    )
    if settings.serving.pictures:
        raise SettingsError(
            "serving.pictures asks for pictures, and history is learnt from texts alone; set "
            "LISTUNE_SERVING__PICTURES=0"
        )
    schemas = read_schemas(schema, alternatives)
    with rejected_file(catalog) as write:
        reading = read_products(catalog, schemas, alternatives, strict, write)
    for warning in reading.warnings:
        console.print(Text(warning, style="yellow"))
    if reading.wrong or reading.refused:
        console.print(where_rejected(catalog), highlight=False, markup=False)
    reading.check(settings.demo.most_rejected)
    # Before anything is fetched: a catalog that cannot be learnt from leaves nothing behind.
    parts = part(reading.products, settings.streams, settings.trainer.seed)
    # Imported here: it brings torch, which other commands do without.
    from infra.history.rounds import bootstrap as train
    from infra.history.rounds import judges_of, settings_at

    judges_of(parts, schemas, settings.streams)
    local = settings.local
    base = settings.serving.base_model or str(
        ensure_base_model(local.cache_dir, local.base_model, console)
    )
    outcome = train(parts, schemas, settings_at(settings, run_dir, base), run_dir, console)
    _show(outcome)
    _say_next(outcome, schema, run_dir)


def _show(outcome: "Outcome") -> None:
    table = Table(
        "adapter",
        "verdict",
        title="Rounds on historic listings",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name in ("taught", "judged", "net benefit", "completeness", "min"):
        table.add_column(name, justify="right")
    for entry, asking_s in outcome.rounds:
        lineage = entry.lineage
        before, after = lineage.parent_metrics, lineage.metrics
        minutes = (asking_s + lineage.train_seconds + lineage.eval_seconds) / 60
        table.add_row(
            lineage.adapter_id,
            str(lineage.decision.kind),
            str(sum(file.rows for file in lineage.data if file.role == "train")),
            str(lineage.decision.listings),
            _moved(before.net_benefit, after.net_benefit),
            _moved(before.completeness, after.completeness),
            f"{minutes:.1f}",
        )
    console.print(table)
    console.print(f"{outcome.why}.", highlight=False)


def _moved(before: Interval | None, after: Interval | None) -> str:
    return f"{before.value:.2f} → {after.value:.2f}" if before and after else ""


def _say_next(outcome: "Outcome", schema: Path, run_dir: Path) -> None:
    if outcome.best is None:
        console.print("No round was promoted: a stack begins with the base.")
        return
    own = schema != StreamsSettings().schema_path
    variable = f"LISTUNE_STREAMS__SCHEMA_PATH={shlex.quote(str(schema))} " if own else ""
    option = "" if run_dir == RUNS / "local" else f" --run-dir {shlex.quote(str(run_dir))}"
    begins = "A stack begins"
    if (run_dir / "kafka").exists():
        begins = f"The stack in {run_dir} has been up; if its champion never changed, it begins"
    console.print(
        f"{begins} with {outcome.best.lineage.adapter_id}: {variable}listune up{option}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
