"""The demo: a catalog's products arrive, sellers review them, and the loop trains itself.

The demo is only a user of the stack. It plays the listing service and the sellers through the
producer SDK, as `docs/` tells anyone to, and otherwise watches the topics: what it reports was
done by the same processes that `listune up` starts.

    prepare   catalog → category schemas, stream products, held-out files
    measure   the base model, and the base with a worked example, on the held-out listings
    play      a wave of listings a round → wait for the round's end → the next wave
    report    the table, the plots and report.html
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from infra import stack
from infra.demo import summary
from infra.demo.catalog import Product, Split, read_catalog, split, write_heldout
from infra.demo.generate import generate
from infra.demo.report import PoolPoint
from infra.demo.sellers import Seller
from infra.demo.served import Served
from infra.demo.watch import RoundWatch
from infra.local.fetch import ensure_all
from infra.machine import commit
from infra.progress import bar
from infra.settings import RUNS, Settings
from schemas.category import CategorySchemas
from schemas.errors import ListuneError
from schemas.events import ListingPrediction, Status
from schemas.sources.json_schema import read_schemas, write_schemas
from schemas.values import matches
from streams.producer import ListuneClient
from streams.sql_client import query

# A wave that does not fill the pool is topped up by so many listings at a time.
TOP_UP = 8
# How long the pool may stand still, with everything answered, before it is topped up.
QUIET_SECONDS = 10.0


@dataclass
class Stage:
    """What the demo plays with."""

    schemas: CategorySchemas
    products: Split


def run(settings: Settings, console: Console) -> Path:
    """Play the demo; returns the folder of its report.

    Raises:
        ListuneError: a catalog that cannot be used, or a loop that makes no progress.
        LocalError: a part of the stack that cannot be fetched or does not stay up.
    """
    started, made_by = time.time(), commit()
    # Before anything is fetched or made: a catalog with a wrong line leaves nothing behind.
    stage = read_stage(settings, console)
    parts = ensure_all(settings.local, console)
    run_dir = _new_run_dir()
    write_stage(stage, settings, run_dir)
    resolved = stack.resolve(settings, run_dir, parts, console)
    console.print(f"Run folder [bold]{run_dir}[/], logs in {run_dir / 'logs'}", highlight=False)
    with stack.running(resolved, run_dir, parts, console) as supervisor:
        timings = {"start": time.time() - started}
        console.rule("The base model, before any training")
        measure_baselines(resolved, run_dir)
        timings["judge the base"] = time.time() - started - timings["start"]
        play = Play(resolved, stage, console, supervisor.check)
        play.run()
        report = summary.build(
            resolved,
            stage.schemas,
            play.watch.rounds,
            play.served,
            summary.changed_samples(
                resolved, stage.schemas, stage.products.test, play.watch.champion_hash
            ),
            play.pool_history,
            timings | play.seconds,
            started,
            made_by,
        )
    summary.write(report, run_dir, console)
    return run_dir


def read_stage(settings: Settings, console: Console) -> Stage:
    """Read or generate the catalog, and split it.

    Raises:
        ListuneError: a schema or catalog that cannot be used, with file and line.
    """
    demo = settings.demo
    warnings: list[str] = []
    if demo.catalog is None or demo.catalog_schema is None:
        arriving = demo.rounds * (demo.wave + 4 * TOP_UP) + demo.final_wave
        schemas, products = generate(demo.seed, 3 * demo.heldout + arriving)
    else:
        schemas = read_schemas(demo.catalog_schema, alternatives=demo.alternatives)
        products, warnings = read_catalog(demo.catalog, schemas, demo.alternatives)
    for warning in warnings:
        console.print(f"[yellow]{warning}[/]")
    parts = split(products, demo.seed, demo.heldout)
    console.print(
        f"Catalog [bold]{demo.catalog or 'generated'}[/]: {len(schemas)} categories, "
        f"{len(products)} products; {len(parts.gate)} held out for the gate, "
        f"{len(parts.stream)} to arrive",
        highlight=False,
    )
    return Stage(schemas, parts)


def write_stage(stage: Stage, settings: Settings, run_dir: Path) -> None:
    """Write what workers and trainer read, and name it in the settings."""
    write_schemas(run_dir / "schema.json", stage.schemas)
    write_heldout(run_dir / "heldout.jsonl", stage.products.gate, stage.schemas)
    settings.streams.schema_path = run_dir / "schema.json"
    settings.trainer.heldout = run_dir / "heldout.jsonl"
    settings.trainer.seed = settings.demo.seed
    # The demo ends with its rounds: another one would start on what the last champion leaves.
    settings.streams.max_rounds = settings.demo.rounds


def measure_baselines(settings: Settings, run_dir: Path) -> None:
    """Judge the base model, without and with a worked example, in a process of its own.

    Its progress bars go to this terminal; what it finds is kept for the rounds to compare with.

    Raises:
        ListuneError: the judging failed; the message is its own.
    """
    folder = run_dir / "rounds" / "baselines"
    folder.mkdir(parents=True, exist_ok=True)
    job = {
        "trainer": settings.trainer.model_dump(mode="json"),
        "serving": settings.serving.model_dump(mode="json"),
        "folder": str(folder),
    }
    (folder / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-m", "trainer.round", "--job", str(folder / "job.json")]
    done = subprocess.run([*command, "--baselines"], check=False)
    if done.returncode != 0:
        failure = folder / "failure.json"
        reason = json.loads(failure.read_text())["reason"] if failure.exists() else "see above"
        raise ListuneError(f"the base model could not be judged: {reason}")


class Play:
    """The waves: listings arrive, sellers review, rounds come and go."""

    def __init__(
        self, settings: Settings, stage: Stage, console: Console, check: Callable[[], None]
    ) -> None:
        """`check` raises when the stack has died, so that nobody waits for it."""
        self.settings = settings
        self.stage = stage
        self.console = console
        self.check = check
        self.served: dict[str, Served] = {}
        self.seconds: dict[str, float] = {}
        self.pool_history: list[PoolPoint] = []
        self.started = time.monotonic()
        self.seller = Seller(settings.demo.seed, settings.demo.sellers)
        self.arrivals = iter(stage.products.stream)
        self.watch = RoundWatch(settings, console, check)

    def run(self) -> None:
        """All rounds, then the listings that the last champion answers."""
        demo = self.settings.demo
        with ListuneClient(self.settings.streams, self.stage.schemas) as client, self.watch:
            for number in range(1, demo.rounds + 1):
                self.console.rule(f"Round {number}: listings arrive, sellers review them")
                self._timed(f"wave {number}", lambda: self._wave(client, demo.wave, "reviewed"))
                self._timed(f"round {number}", lambda n=number: self._round(client, n))  # type: ignore[misc]
            self.console.rule("The last champion at work")
            self._timed("final wave", lambda: self._wave(client, demo.final_wave, "reviewed"))

    def _round(self, client: ListuneClient, number: int) -> None:
        """Wait for the round's end; top the pool up while the trigger has too little."""
        while not self.watch.wait_requested(number, QUIET_SECONDS):
            self.console.print(f"[dim]{self.watch.status_line()}: more listings arrive[/]")
            if self._wave(client, TOP_UP, "topped up") == 0:
                raise ListuneError(
                    f"round {number} was not triggered and no product is left to arrive; "
                    "give a larger catalog, or a smaller LISTUNE_STREAMS__K"
                )
        self.watch.wait_closed(number, self.settings.demo.stall_minutes * 60)

    def _wave(self, client: ListuneClient, count: int, word: str) -> int:
        """Let up to `count` products arrive; returns how many did."""
        products = [p for p, _ in zip(self.arrivals, range(count), strict=False)]
        with (
            ThreadPoolExecutor(self.settings.demo.in_flight) as sellers,
            bar(self.console) as shown,
        ):
            task = shown.add_task(f"listings {word}", total=len(products))
            jobs = [sellers.submit(self._one, client, product) for product in products]
            try:
                for job in as_completed(jobs):
                    job.result()
                    self.check()
                    shown.advance(task)
            except BaseException:
                sellers.shutdown(wait=False, cancel_futures=True)
                raise
        client.flush(10.0)
        return len(products)

    def _one(self, client: ListuneClient, product: Product) -> None:
        """One product: asked for, answered, reviewed by its seller."""
        prediction = client.predict(
            listing_id=product.product_id,
            category=product.category,
            title=product.title,
            description=product.description,
            requested=product.requested,
            timeout_s=self.settings.streams.request_timeout_s,
        )
        if prediction.status is not Status.OK:
            raise ListuneError(f"listing {product.product_id} was not answered: {prediction.error}")
        submitted = self.seller.review(product, prediction, self.stage.schemas)
        self._count(prediction, submitted)
        client.review(prediction, shown=prediction.values, submitted=submitted)

    def _count(self, prediction: ListingPrediction, submitted: dict[str, list[str]]) -> None:
        served = self.served.setdefault(prediction.adapter_id, Served())
        attributes = self.stage.schemas[prediction.category].by_name
        served.latencies_ms.append(prediction.latency_ms)
        served.shown += len(prediction.values)
        served.accepted += sum(
            matches(attributes[name], values, submitted.get(name, []))
            for name, values in prediction.values.items()
        )

    def _note_pool(self) -> None:
        """Ask the live pool, as anyone may, how much it holds."""
        with suppress(ListuneError):
            _, rows = query(self.settings.streams, "SELECT count(*) FROM samples")
            seconds = time.monotonic() - self.started
            self.pool_history.append(PoolPoint(seconds=seconds, samples=int(rows[0][0])))

    def _timed(self, name: str, work: Callable[[], object]) -> None:
        started = time.monotonic()
        work()
        self._note_pool()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started


def _new_run_dir() -> Path:
    """runs/<time>/, and runs/latest pointing at it."""
    run_dir = (RUNS / time.strftime("%Y-%m-%dT%H-%M-%S")).absolute()
    run_dir.mkdir(parents=True)
    latest = RUNS / "latest"
    latest.unlink(missing_ok=True)
    latest.symlink_to(run_dir.name)
    return run_dir
