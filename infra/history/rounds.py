"""Rounds on historic listings, one after the other, by the loop's own rules.

For each round the current model (the base, then the adapter that the gate promoted last) is asked
about listings that no round has taken; the k that it did worst on are trained on and judged by
`trainer.round`, in a process of its own. The gate's verdict holds: what it does not promote is
nobody's parent, and its listings are used up. It is over after `history.rounds`, after
`streams.pause_after` without promotion in a row, and where too few listings leave anything to
learn.

Killed anywhere, it goes on where it was: answers, the round's own stages and its adapter are all
kept, and a round that is in the registry is done.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rich.console import Console

from infra.catalogs.catalog import CatalogError, Product
from infra.history.adapters import best_of, is_promoted, of_history
from infra.history.asking import ask
from infra.history.begun import Begun, HistoryFolder, Planned
from infra.history.choosing import candidates, chosen, judges, write
from infra.history.parts import Parts
from infra.progress import bar
from infra.settings import Settings
from schemas.category import CategorySchemas
from schemas.errors import ListuneError
from schemas.events import BASE_ADAPTER, HISTORY_POOL, ManifestFile, RetrainRequest, ValueLists
from serving.base_hash import base_hash
from serving.engine.backends import decided
from serving.engine.model import resolve_base
from serving.settings import ServingSettings
from streams.pool.deciding.selection import Chosen
from streams.pool.manifest import Role
from streams.pool.selected import Selected
from streams.settings import StreamsSettings
from trainer.data.dataset import read_rows, with_role
from trainer.data.registry import Entry, Registry
from trainer.judging.judge import DECODER
from trainer.launch import RoundProcess
from trainer.results import Failure, RoundJob, round_folder

MOST_BATCHES = 5
"""Of candidates that are asked about for one round. Where too few of so many count, there is little
left to learn, and a large catalog would be asked about for days."""
LOOK_S = 0.2


@dataclass(frozen=True)
class Outcome:
    """The rounds that there are by now, each with the seconds that its asking took, the adapter
    that a stack begins with (None: the base), and in one sentence why it is over."""

    rounds: list[tuple[Entry, float]]
    best: Entry | None
    why: str


def settings_at(settings: Settings, run_dir: Path, base: str) -> Settings:
    """The settings of rounds in `run_dir`, whose adapters its stack will find in its registry."""
    run_dir, heldout = run_dir.absolute(), settings.trainer.heldout
    return settings.changed(
        serving={"base_model": base, "pictures": 0},
        trainer={
            "registry_dir": run_dir / "registry",
            "work_dir": run_dir / "rounds",
            "heldout": heldout.absolute() if heldout else None,
        },
    )


def bootstrap(
    parts: Parts,
    schemas: CategorySchemas,
    settings: Settings,
    run_dir: Path,
    console: Console,
) -> Outcome:
    """All rounds that are still to be trained.

    Args:
        parts: the catalog's.
        settings: as `settings_at` makes them.

    Raises:
        ListuneError: too few products may judge together, what is in `run_dir` is of another
            catalog, somebody else is at work there, or a round cannot be completed.
    """
    folder, registry = HistoryFolder(run_dir), Registry(settings.trainer.registry_dir)
    if folder.begun() is None and of_history(registry):
        raise ListuneError(
            f"{registry.folder} has adapters from history, and what they were begun with is not in "
            f"{folder.path} any more; bring it back, or give another --run-dir"
        )
    history = History(parts, schemas, settings, folder, console)
    own_hash = base_hash(resolve_base(settings.serving.base_model))
    with folder.alone():
        used = [*parts.teaching, *parts.judging]
        folder.begin(Begun.of(used, schemas, settings, own_hash))
        return history.run()


def judges_of(parts: Parts, schemas: CategorySchemas, streams: StreamsSettings) -> list[Selected]:
    """Those that judge all rounds.

    Raises:
        CatalogError: too few may judge together.
    """
    found = judges(parts.judging, schemas, streams)
    if len(found) < streams.heldout_least:
        raise CatalogError(
            f"{len(found)} products can judge, where {streams.heldout_least} are needed: the "
            "others are like them; give a larger catalog, or a smaller "
            "LISTUNE_STREAMS__HELDOUT_LEAST"
        )
    return found


class History:
    """The rounds of one folder."""

    def __init__(
        self,
        parts: Parts,
        schemas: CategorySchemas,
        settings: Settings,
        folder: HistoryFolder,
        console: Console,
    ) -> None:
        """Rounds on what teaches of `parts`.

        Raises:
            CatalogError: too few may judge together.
        """
        self._parts = parts
        self._schemas = schemas
        self._settings = settings
        self._folder = folder
        self._console = console
        self._registry = Registry(settings.trainer.registry_dir)
        self._judges = judges_of(parts, schemas, settings.streams)

    def run(self) -> Outcome:
        """Train what is still to be trained.

        Raises:
            ListuneError: a round cannot be completed.
        """
        for entry in of_history(self._registry):
            self._folder.tidy(entry.lineage.round)  # of a round that was killed at its very end
        while (why := self._over()) is None:
            number = len(of_history(self._registry)) + 1
            planned = self._folder.planned(number) or self._plan(number)
            if planned is None:
                why = f"too few listings are left for round {number} that leave anything to learn"
                break
            self._train(planned)
        done = of_history(self._registry)
        return Outcome([(e, self._asking_of(e)) for e in done], best_of(done), why)

    def _over(self) -> str | None:
        done, most = of_history(self._registry), self._settings.history.rounds
        fruitless = self._settings.streams.pause_after
        if len(done) >= fruitless and not any(map(is_promoted, done[-fruitless:])):
            return f"{fruitless} rounds in a row brought nothing that the gate promotes"
        if len(done) >= most:
            return f"{len(done)} of {most} rounds are done; --rounds asks for more"
        return None

    def _plan(self, number: int) -> Planned | None:
        """Asks the current model, and decides on the round; None where it would be too small."""
        parent, streams = best_of(of_history(self._registry)), self._settings.streams
        who = parent.lineage.adapter_id if parent else "the base"
        self._console.rule(f"Round {number}: {who} is asked about historic listings")
        asked: list[Product] = []
        answers: dict[str, ValueLists] = {}
        seconds, made, left = 0.0, Chosen([], self._judges, 0, 0), self._left(number)
        for _ in range(MOST_BATCHES):
            more = candidates(left, streams, self._settings.history.candidates * streams.k)
            if not more:
                break
            ordered = {product.product_id for product in more}
            left = [product for product in left if product.product_id not in ordered]
            values, took = self._ask(more, parent)
            asked, answers, seconds = [*asked, *more], answers | values, seconds + took
            made = chosen(asked, answers, self._schemas, streams, self._judges)
            if len(made.train) == streams.k:
                return self._decide(number, parent, asked, seconds, made)
        self._console.print(
            f"Of {len(asked)} listings {len(made.train)} count for a round of {streams.k}; "
            f"{made.over_share} are beyond the share of their category or product, and "
            f"{made.near_held_out} like others that judge",
            highlight=False,
        )
        return None

    def _left(self, number: int) -> list[Product]:
        """What no round has taken, that first which no round has asked about."""
        taken, before = self._taken(), set[str]()
        for earlier in range(1, number):
            planned = self._folder.planned(earlier)
            before |= set(planned.asked if planned else ())
        left = [p for p in self._parts.teaching if p.product_id not in taken]
        return sorted(left, key=lambda product: product.product_id in before)

    def _taken(self) -> set[str]:
        """What was taught, and may not be again."""
        taken = set[str]()
        for entry in of_history(self._registry):
            files = with_role(entry.data(), "train")
            rows = read_rows(files)
            taken |= {row.listing.listing_id for row in rows}
            if len(rows) < sum(file.rows for file in files):
                # Some were forgotten since, and nothing says which of those that were asked about.
                planned = self._folder.planned(entry.lineage.round)
                taken |= set(planned.asked if planned else ())
        return taken

    def _ask(
        self, products: Sequence[Product], parent: Entry | None
    ) -> tuple[dict[str, ValueLists], float]:
        with bar(self._console) as shown:
            task = shown.add_task("listings asked about", total=len(products))
            found = ask(
                products,
                self._schemas,
                parent.read() if parent else None,
                self._settings.trainer,
                self._serving,
                self._folder.path / "engine",
                lambda what, done, total: shown.update(task, completed=done, total=total),
            )
        return found.values, found.seconds

    def _decide(
        self,
        number: int,
        parent: Entry | None,
        asked: Sequence[Product],
        seconds: float,
        made: Chosen,
    ) -> Planned:
        streams = self._settings.streams
        train, origins = self._write(made.train, number, "train")
        heldout, _ = self._write(made.held_out, number, "heldout")
        request = RetrainRequest(
            pool=HISTORY_POOL,
            round=number,
            parent_id=parent.lineage.adapter_id if parent else BASE_ADAPTER,
            parent_hash=parent.lineage.adapter_hash if parent else BASE_ADAPTER,
            trigger="person",
            source="history",
            selection=streams.selection,
            k=len(made.train),
            min_gap=streams.min_gap,
            pool_size=len(asked),
            mean_deficit=sum(one.deficit for one in made.train) / len(made.train),
            origins=origins,
            near_held_out=made.near_held_out,
            over_share=made.over_share,
            files=[train, heldout],
        )
        planned = Planned(request=request, asked=[p.product_id for p in asked], seconds=seconds)
        self._folder.plan(planned)
        return planned

    def _write(
        self, rows: list[Selected], number: int, role: Role
    ) -> tuple[ManifestFile, dict[str, int]]:
        return write(rows, self._schemas, role, self._folder.manifest(number, role))

    def _train(self, planned: Planned) -> None:
        request, settings = planned.request, self._settings
        self._console.rule(
            f"Round {request.round}: {request.k} listings teach, {len(self._judges)} judge"
        )
        job = RoundJob(
            retrain=request,
            trainer=settings.trainer,
            serving=self._serving,
            folder=round_folder(settings.trainer.work_dir, request),
        )
        process = RoundProcess(job)
        try:
            while not process.ended():
                time.sleep(LOOK_S)
            outcome = process.outcome()
        finally:
            process.stop()
        if isinstance(outcome, Failure):
            raise ListuneError(f"round {request.round} cannot be completed: {outcome.reason}")
        self._console.print(f"{outcome.decision.kind}: {outcome.decision.reason}", highlight=False)
        self._folder.tidy(request.round)

    @cached_property
    def _serving(self) -> ServingSettings:
        """All rounds ask and judge with the decoder that the first one took."""
        return decided(self._settings.serving, self._folder.path / DECODER)

    def _asking_of(self, entry: Entry) -> float:
        planned = self._folder.planned(entry.lineage.round)
        return planned.seconds if planned else 0.0
