"""The demo: a catalog's products arrive, sellers review them, and the loop trains itself.

The demo is only a user of the stack. It plays the listing service and the sellers through the
producer SDK, as `docs/` tells anyone to, and otherwise watches the topics: what it reports was
done by the same processes that `listune up` starts, judged on listings that they held out.

    prepare   catalog → category schemas, products in the order in which they arrive
    play      a wave of listings a round → wait for the round's end → the next wave
    arms      with `demo.arm_sellers`: an experiment on live traffic, reported
    judge     the base and every round's adapter side by side, on all held-out listings that came
    report    the tables, the plots and report.html
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from infra import stack
from infra.arms.asking import arms_report
from infra.catalogs.catalog import Product
from infra.catalogs.sellers import Seller
from infra.checkup.page import write_check
from infra.demo import summary
from infra.demo.arms import (
    dealt,
    wait_until_counted,
    wait_until_runs,
    with_experiment,
    without_experiment,
)
from infra.demo.rows import PoolPoint
from infra.demo.side_by_side import judge_side_by_side
from infra.demo.summary import Played, Served
from infra.demo.watch import RoundWatch
from infra.machine import commit
from infra.progress import bar
from infra.settings import RUNS, Settings
from infra.stage import Stage, read_stage, with_pictures, write_stage
from schemas.errors import ListuneError
from schemas.events import ListingPrediction, Status, ValueLists
from schemas.values import matches
from streams.arms.report import ArmsReport
from streams.producer import ListuneClient
from streams.sql.client import query

# A wave that does not bring the round about is topped up, by this part of a wave at a time.
TOP_UPS_A_WAVE = 7
# How long the pool may stand still, with everything answered, before it is topped up.
QUIET_SECONDS = 10.0


def run(settings: Settings, console: Console) -> Path:
    """Play the demo; returns the folder of its report.

    Raises:
        ListuneError: a catalog that cannot be used, or a loop that makes no progress.
        LocalError: a part of the stack that cannot be fetched or does not stay up.
    """
    started, made_by = time.time(), commit()
    # Before anything is fetched or made: a catalog with a wrong line leaves nothing behind.
    stage = read_stage(settings, console)
    settings = with_pictures(stage, settings)
    parts = stack.ensure_parts(settings, console)
    run_dir = _new_run_dir()
    # It ends with its rounds: another one would start on what the last champion leaves.
    staged = write_stage(stage, settings, run_dir).changed(
        streams={"max_rounds": settings.demo.rounds}
    )
    if settings.demo.arm_sellers:
        staged = without_experiment(staged)
    resolved = stack.resolve(staged, run_dir, parts, console)
    if stage.check is not None:
        write_check(stage.check, run_dir / "check")
    console.print(f"Run folder [bold]{run_dir}[/], logs in {run_dir / 'logs'}", highlight=False)
    with stack.running(resolved, run_dir, parts, console) as supervisor:
        start = time.time() - started
        play = Play(resolved, stage, console, supervisor.check)
        play.run()
        if settings.demo.arm_sellers:
            play.settings = with_experiment(resolved, settings.streams.experiment)
            stack.write_settings(play.settings, run_dir)
            supervisor.restart("curate")
            play.arms()
    # The judging needs nothing of the stack but its files, and has the machine for itself.
    console.rule("All adapters on the same held-out listings")
    played = play.judge()
    timings = {"start": start} | play.seconds
    report = summary.build(resolved, stage.schemas, played, timings, started, made_by)
    report.arms = play.arms_report
    summary.write(report, run_dir, console)
    return run_dir


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
        self.submitted: dict[str, ValueLists] = {}  # by listing
        self.seen: dict[str, list[str]] = {}  # hashes of the pictures, by listing
        self.seconds: dict[str, float] = {}
        self.pool_history: list[PoolPoint] = []
        self.started = time.monotonic()
        self.seller = Seller(settings.demo.seed, settings.demo.sellers)
        self.coming = iter(stage.products)
        self.watch = RoundWatch(settings, console, check)
        self.arms_report: ArmsReport | None = None

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
            self._timed("further looks", self.watch.wait_settled)

    def arms(self) -> None:
        """The experiment of the settings: its sellers come, and what they made of it is reported.

        Their listings are not judged side by side: the arms are.
        """
        self.console.rule(f"Experiment {self.settings.streams.experiment.name}: sellers in arms")
        self._timed("experiment", self._arms)

    def _arms(self) -> None:
        demo, name = self.settings.demo, self.settings.streams.experiment.name
        wait_until_runs(self.settings, self.check)
        coming = dealt(list(self.coming), demo.arm_sellers, demo.arm_listings, demo.seed)
        if not coming:
            raise ListuneError(
                "no product is left for the experiment; give a larger catalog, or a smaller "
                "LISTUNE_DEMO__WAVE"
            )
        with ListuneClient(self.settings.streams, self.stage.schemas) as client:
            answers = self._play(client, coming, "reviewed in arms")
            reviews = sum(
                prediction.status is Status.OK and name in prediction.arms
                for prediction, _ in answers
            )
        wait_until_counted(self.settings, reviews, self.check)
        self.arms_report = arms_report(self.settings, name)

    def judge(self) -> Played:
        """What was played, with all adapters judged side by side.

        Raises:
            ListuneError: the judging failed; the message is its own.
        """
        arrived = [p for p in self.stage.products if p.product_id in self.submitted]
        rounds = dict(sorted(self.watch.rounds.items()))
        verdicts = [made.verdict for made in rounds.values()]
        adapters = [verdict.adapter_id for verdict in verdicts if verdict and verdict.adapter_id]
        begun = time.monotonic()
        judged = judge_side_by_side(
            self.settings, self.stage.schemas, arrived, self.submitted, adapters, self.seen
        )
        self.seconds["judge side by side"] = time.monotonic() - begun
        return Played(
            rounds, self.watch.champion_id, self.served, judged, arrived, self.pool_history
        )

    def _round(self, client: ListuneClient, number: int) -> None:
        """Wait for the round's end; top the pool up while the trigger has too little."""
        portion = math.ceil(self.settings.demo.wave / TOP_UPS_A_WAVE)
        while not self.watch.wait_requested(number, QUIET_SECONDS):
            self.console.print(f"[dim]{self.watch.status_line()}: more listings arrive[/]")
            if self._wave(client, portion, "topped up") == 0:
                raise ListuneError(
                    f"round {number} was not triggered and no product is left to arrive; give a "
                    "larger catalog, or a smaller LISTUNE_STREAMS__K or "
                    "LISTUNE_STREAMS__HELDOUT_LEAST"
                )
        self.watch.wait_closed(number)

    def _wave(self, client: ListuneClient, count: int, word: str) -> int:
        """Let up to `count` products arrive; returns how many did."""
        products = [p for p, _ in zip(self.coming, range(count), strict=False)]
        noted: list[str] = []  # the first note of each answer that has some
        for prediction, submitted in self._play(client, [(None, p) for p in products], word):
            if prediction.status is Status.OK:
                self._count(prediction, submitted)
            noted += prediction.notes[:1]
        client.flush(10.0)
        if noted:
            self.console.print(
                f"[dim]{len(noted)} of {len(products)} listings were answered with a note, such as:"
                f" {escape(noted[0])}[/]",
                highlight=False,
            )
        return len(products)

    def _play(
        self, client: ListuneClient, coming: Sequence[tuple[str | None, Product]], word: str
    ) -> Iterator[tuple[ListingPrediction, ValueLists]]:
        """Let the products come, each of its seller; the answers and reviews, as they are there."""
        with (
            ThreadPoolExecutor(self.settings.demo.in_flight) as sellers,
            bar(self.console) as shown,
        ):
            task = shown.add_task(f"listings {word}", total=len(coming))
            jobs = [sellers.submit(self._one, client, *one) for one in coming]
            try:
                for job in as_completed(jobs):
                    # Counted on this thread: side by side they would count over each other.
                    yield job.result()
                    self.check()
                    shown.advance(task)
            except BaseException:
                sellers.shutdown(wait=False, cancel_futures=True)
                raise

    def _one(
        self, client: ListuneClient, seller: str | None, product: Product
    ) -> tuple[ListingPrediction, ValueLists]:
        """One product: asked for, answered, reviewed by its seller; the answer and the review.

        A picture that cannot be had leaves a product without text unanswered and its seller without
        anything to review; the notes say why.
        """
        prediction = client.predict(
            listing_id=product.product_id,
            seller_id=seller,
            category=product.category,
            title=product.title,
            description=product.description,
            images=product.images,
            requested=product.requested,
            timeout_s=self.settings.streams.request_timeout_s,
        )
        if prediction.status is Status.FAILED and not (product.title or product.description):
            return prediction, {}
        if prediction.status is not Status.OK:
            raise ListuneError(f"listing {product.product_id} was not answered: {prediction.error}")
        submitted = self.seller.review(product, prediction, self.stage.schemas)
        client.review(prediction, shown=prediction.values, submitted=submitted)
        return prediction, submitted

    def _count(self, prediction: ListingPrediction, submitted: ValueLists) -> None:
        self.submitted[prediction.listing_id] = submitted
        self.seen[prediction.listing_id] = prediction.pictures
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
