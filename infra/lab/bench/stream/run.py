"""The stream benchmark: events from Kafka into DuckDB, by two bare loops and by our curate worker;
and requests from Kafka to an engine and their predictions back, by a bare loop and by predict.

What the arms are and what is measured is told in docs/benchmarks.md.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bar

from infra import progress
from infra.lab.bench.arms import STREAM_ARMS
from infra.lab.bench.chart import draw_bars
from infra.lab.bench.job import peak_memory_mb
from infra.lab.bench.publish import bench_folder, publish
from infra.lab.bench.results import ArmResult, BenchResult, Figures, Options, begin
from infra.lab.bench.runner import run_shown
from infra.lab.bench.stream import asked, loops, passing, pool
from infra.lab.bench.stream.curate import Progress, committed, counts, curate
from infra.lab.bench.stream.events import ListingEvents, make, send
from infra.lab.bench.stream.figures import (
    BOTH,
    PASSED,
    REVIEWS,
    commits_of,
    full_pool,
    goals,
    steady,
    throughput,
)
from infra.lab.bench.stream.pool import HELDOUT
from infra.lab.bench.stream.steady import StandIn, into_pool_s, send_steadily, to_retrain_s
from infra.lab.small import ANY_FREE
from infra.local.fetch import ensure_part, kafka_part
from infra.local.ports import HOST, free_port
from infra.settings import Settings
from infra.stack import broker_alone
from schemas import topic_names as topics
from schemas.category import CategorySchemas
from schemas.errors import ListuneError
from schemas.heldout import is_held_out
from schemas.sources.json_schema import write_schemas
from serving.triton.protocol import encode_answer

LOOPS = ("confluent", "faust")
TOPICS = {BOTH: (topics.REQUESTS, topics.PREDICTIONS), REVIEWS: (topics.REVIEWS,)}


@dataclass(frozen=True)
class StreamSizes:
    """How much is sent: of the backlog, of the steady part with its k, to the full pool."""

    backlog: int = 40_000
    batch: int = 4000  # of the loops, as of ours
    per_s: float = 200.0
    rounds: int = 20
    k: int = 1000
    pool_rows: int = 1_000_000
    pool_batch: int = 500
    full_batch: int = 4000
    passed: int = 40_000  # requests, through predict
    in_flight: int = 256  # of them at the engine: enough that nobody waits for it

    @property
    def steady(self) -> int:
        """Reviews at a steady rate: enough for the rounds, beside those of held-out listings."""
        return round(self.rounds * self.k / (1 - 1.5 * HELDOUT["heldout_share"]))


QUIET = Console(quiet=True)
"""For what would show a progress of its own beside the benchmark's."""
QUICK = StreamSizes(
    backlog=3_000, per_s=100.0, rounds=3, k=55, pool_rows=20_000, full_batch=1000, passed=5_000
)


@dataclass
class StreamRun:
    """What one run's rows are made with."""

    settings: Settings
    folder: Path
    shown: Bar
    arms: Sequence[str]
    sizes: StreamSizes

    def stack(self, name: str, schemas: CategorySchemas, k: int) -> Path:
        """A run folder for a broker of its own, with the settings in it."""
        run_dir = self.folder / name
        run_dir.mkdir()
        settings = self.settings.changed(
            streams={
                "pool_dir": run_dir / "pool",
                "schema_path": run_dir / "schema.json",
                "curate_health_port": free_port(),
                "k": k,
                **HELDOUT,
                "backfill_factor": 0,  # nobody would answer
                "pause_after": 10**6,  # the stand-in rejects every round
            },
            local=ANY_FREE,
        )
        write_schemas(settings.streams.schema_path, schemas)
        (run_dir / "settings.json").write_text(settings.model_dump_json())
        return run_dir

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """A line of the progress display while the block runs."""
        task = self.shown.add_task(what, total=None)
        yield
        self.shown.remove_task(task)


def run(
    settings: Settings, console: Console, arms: Sequence[str] = STREAM_ARMS, quick: bool = False
) -> Path:
    """Measure, print, and write the result file, its summary and its picture; the file's path.

    quick: few events, and the result is kept aside.

    Raises:
        ListuneError: the worker stands still or dies.
        PartError: Kafka cannot be fetched.
    """
    return publish(measured(settings, console, arms, quick), bench_folder(quick), draw, console)


def draw(result: BenchResult, path: Path) -> Path:
    """Draw the arms that read a backlog into the PNG file `path`."""
    compared = [row for row in result.rows if "events_per_s" in row.figures]
    return draw_bars(replace(result, rows=compared), ("events_per_s", "cpu_ms_per_event"), path)


def measured(
    settings: Settings, console: Console, arms: Sequence[str], quick: bool
) -> Iterator[BenchResult]:
    """The result so far, after each row."""
    begun = begin("stream")
    constants: Options = {
        # Of others on the machine: above a few tenths, its figures are theirs too.
        "load_average_before": os.getloadavg()[0],
        "partitions": settings.streams.partitions,
        "micro_batch_events": settings.streams.micro_batch_events,
        "micro_batch_s": settings.streams.micro_batch_s,
    }
    ensure_part(kafka_part(), settings.local.cache_dir, console)
    with tempfile.TemporaryDirectory() as name, progress.bar(console) as shown:
        bench = StreamRun(settings, Path(name), shown, arms, QUICK if quick else StreamSizes())
        rows: list[ArmResult] = []
        for row in measure(bench):
            rows.append(row)
            yield replace(begun, rows=list(rows), goals=goals(rows), constants=constants)


def measure(bench: StreamRun) -> Iterator[ArmResult]:
    """All rows, one after the other."""
    if {*LOOPS, "listune"} & set(bench.arms):
        yield from backlog(bench)
    if "steady" in bench.arms:
        yield from at_a_steady_rate(bench)
    if "pool" in bench.arms:
        sizes = bench.sizes
        folder = bench.folder / "full"
        folder.mkdir()
        batches = sizes.pool_batch, sizes.full_batch
        job = pool.PoolJob(str(folder), sizes.pool_rows, sizes.k, *batches)
        yield full_pool({"k": sizes.k}, run_shown(bench.shown, "full pool", pool.carry_out, job))
    if "predict" in bench.arms:
        yield from passed_on(bench)


def backlog(bench: StreamRun) -> Iterator[ArmResult]:
    """Each arm reads what waits on the topics: requests and predictions, and then reviews."""
    schemas, events = make(bench.sizes.backlog)
    # So large a k that no round begins: its listings would be chosen and written meanwhile.
    run_dir = bench.stack("backlog", schemas, k=len(events))
    with broker_alone(run_dir, QUIET) as settings:
        for what in (BOTH, REVIEWS):
            _fill(bench, settings, what, events)
            count = len(events) * len(TOPICS[what])
            for arm in bench.arms:
                if arm in LOOPS:
                    yield _loop(bench, settings, run_dir, arm, what, count)
                elif arm == "listune":
                    yield _worker(bench, settings, run_dir, what, count)
    if "listune" in bench.arms:
        found = counts(settings)
        if set(found.values()) != {len(events)}:
            raise ListuneError(f"of {len(events)} listings the pool has {found}")


def at_a_steady_rate(bench: StreamRun) -> Iterator[ArmResult]:
    """Reviews at a moderate rate, with a round as soon as there are enough of them."""
    sizes = bench.sizes
    schemas, events = make(sizes.steady)
    run_dir = bench.stack("steady", schemas, sizes.k)
    with broker_alone(run_dir, QUIET) as settings:
        _fill(bench, settings, BOTH, events)
        before = Progress(committed(settings, TOPICS[BOTH]))
        stand_in = StandIn(settings)
        with curate(settings, run_dir, before):
            before.wait_for(2 * len(events))
            before.end()
            during = Progress(committed(settings, TOPICS[REVIEWS]))
            during.pid = before.pid
            with bench.doing("steady reviews"):
                sent = send_steadily(settings, events, sizes.per_s, during)
                stand_in.wait_for(sizes.rounds)
            during.end()
        stand_in.end()
    share = settings.streams.heldout_share
    trained_on = [
        s for s, e in zip(sent, events, strict=True) if not is_held_out(e.listing_id, share)
    ]
    first, last = during.seen[0], during.seen[-1]
    yield steady(
        {"reviews_per_s": sizes.per_s, "k": sizes.k},
        into_pool_s(sent, during.seen),
        to_retrain_s(trained_on, stand_in.heard, sizes.k),
        (last.cpu_s - first.cpu_s) / (last.at_s - first.at_s),
    )


def passed_on(bench: StreamRun) -> Iterator[ArmResult]:
    """A bare loop and the predict worker pass on the same requests, to an engine at hand."""
    sizes, schema = bench.sizes, asked.schema()
    run_dir = bench.stack("passed", CategorySchemas([schema]), k=sizes.passed)
    port = free_port()
    told: Options = {
        "set": PASSED,
        "attributes": len(schema.attributes),
        "text_characters": asked.TEXT,
        "in_flight": sizes.in_flight,
    }
    with (
        broker_alone(run_dir, QUIET) as settings,
        passing.engine(run_dir, port, encode_answer(asked.answer(schema))),
    ):
        with bench.doing(f"writing {topics.REQUESTS}"):
            send(settings.streams, topics.REQUESTS, asked.requests(schema, sizes.passed))
        at = passing.bare_job(settings, port, schema, sizes.passed, sizes.in_flight)
        outcome = run_shown(bench.shown, "bare loop", passing.bare, at)
        yield _row("bare loop: passed on", {"arm": "bare", **told}, outcome)
        settings = settings.changed(
            streams={"in_flight": sizes.in_flight, "predict_health_port": free_port()},
            serving={"triton_url": f"{HOST}:{port}"},
        )
        before = passing.ends(settings)()
        following = Progress(passing.ends(settings))
        done = sum(before.values())
        with bench.doing("listune predict"), passing.predict(settings, run_dir, following) as pid:
            following.wait_for(done + sizes.passed)
            following.end()
            memory = peak_memory_mb(pid())
        passing.check(settings, before, sizes.passed)
        yield throughput(
            "listune predict: passed on",
            {"arm": "listune", **told},
            commits_of(following.seen, done),
            {"peak_memory_mb": memory},
        )


def _fill(bench: StreamRun, settings: Settings, what: str, events: Sequence[ListingEvents]) -> None:
    part: dict[str, Callable[[ListingEvents], bytes]] = {
        topics.REQUESTS: lambda event: event.request,
        topics.PREDICTIONS: lambda event: event.prediction,
        topics.REVIEWS: lambda event: event.review,
    }
    for topic in TOPICS[what]:
        with bench.doing(f"writing {topic}"):
            send(settings.streams, topic, ((e.listing_id, part[topic](e)) for e in events))


def _loop(
    bench: StreamRun, settings: Settings, run_dir: Path, arm: str, what: str, count: int
) -> ArmResult:
    bootstrap = settings.streams.bootstrap_servers
    job = loops.LoopJob(arm, bootstrap, list(TOPICS[what]), count, str(run_dir), bench.sizes.batch)
    outcome = run_shown(bench.shown, f"{arm}: {what}", loops.carry_out, job)
    told: Options = {"arm": arm, "set": what, "batch": job.batch}
    return _row(f"{arm} loop: {what}", told, outcome)


def _row(name: str, told: Options, outcome: dict[str, Any]) -> ArmResult:
    """The row of a loop, from what its process measured."""
    if reason := outcome.get("not_run"):
        return ArmResult(name, told, not_run=reason)
    return throughput(name, told, outcome["commits"], {"peak_memory_mb": outcome["peak_memory_mb"]})


def _worker(
    bench: StreamRun, settings: Settings, run_dir: Path, what: str, count: int
) -> ArmResult:
    following = Progress(committed(settings, TOPICS[what]))
    with bench.doing(f"listune: {what}"), curate(settings, run_dir, following) as worker:
        following.wait_for(count)
        following.end()
        stages = worker.stages()
        memory = worker.peak_memory_mb()
    figures: Figures = {"peak_memory_mb": memory}
    # The worker counts them from its start, so they are of all events.
    figures |= {f"{name}_ms_per_event": s / count * 1e3 for name, s in sorted(stages.items())}
    told: Options = {"arm": "listune", "set": what}
    return throughput(f"listune curate: {what}", told, commits_of(following.seen, 0), figures)
