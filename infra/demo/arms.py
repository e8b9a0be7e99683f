"""The demo's A/B run: after the rounds, sellers come who are in the arms of an experiment.

It begins as any experiment does: it is described in the settings of the worker that decides, which
is started again. Its sellers are new, and each sells in one category, so that what one of them does
resembles what the same one does next, as with real sellers.
"""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress

from infra.catalogs.catalog import Product
from infra.settings import Settings
from schemas.errors import ListuneError
from streams.sql.client import query
from streams.trials import ArmSettings, ExperimentSettings

EXPERIMENT = ExperimentSettings(
    name="demo",
    arms=(
        ArmSettings(name="champion", share=0.34, answers="champion"),
        ArmSettings(name="example", share=0.33, answers="example"),
        ArmSettings(name="blind", share=0.33, answers="blind"),
    ),
)
"""As large a blind arm as the others: the run is short. In earnest 1 to 2 % is enough."""
PATIENCE_S = 120.0
LOOK_S = 0.5


def without_experiment(settings: Settings) -> Settings:
    """While the rounds are played nobody is in an arm: the champion changes then."""
    return settings.changed(streams={"experiment": ExperimentSettings()})


def with_experiment(settings: Settings, wanted: ExperimentSettings) -> Settings:
    """With the experiment that is `wanted`, else with the demo's own; and nothing is measured again
    meanwhile, as no round would use it."""
    chosen = wanted if wanted.name else EXPERIMENT
    return settings.changed(streams={"experiment": chosen, "backfill_factor": 0})


def dealt(
    products: Sequence[Product], sellers: int, listings: int, seed: int
) -> list[tuple[str, Product]]:
    """Up to `sellers` sellers with `listings` products each, of one category; in the order in which
    they come. Products that make no whole seller are left out."""
    by_category: dict[str, list[Product]] = defaultdict(list)
    for product in products:
        by_category[product.category].append(product)
    whole = [
        own[begin : begin + listings]
        for own in by_category.values()
        for begin in range(0, len(own) - listings + 1, listings)
    ]
    rng = random.Random(f"arms/{seed}")
    rng.shuffle(whole)
    sold = [(f"seller-{n}", p) for n, own in enumerate(whole[:sellers], 1) for p in own]
    rng.shuffle(sold)
    return sold


def wait_until_runs(settings: Settings, check: Callable[[], None]) -> None:
    """Return when the experiment runs.

    Raises:
        ListuneError: it does not begin.
    """
    name = settings.streams.experiment.name
    sql = f"SELECT count(*) FROM experiments WHERE name = '{name}' AND state = 'running'"
    if not _comes_to(settings, sql, 1, check):
        raise ListuneError(
            f"the experiment {name!r} does not begin; see the curate worker's log for the reason"
        )


def wait_until_counted(settings: Settings, reviews: int, check: Callable[[], None]) -> None:
    """Return when the pool has all reviews, or after a while with those that it has."""
    name = settings.streams.experiment.name
    sql = f"SELECT coalesce(sum(reviews), 0) FROM arm_units WHERE experiment = '{name}'"
    _comes_to(settings, sql, reviews, check)


def _comes_to(settings: Settings, sql: str, least: int, check: Callable[[], None]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        check()
        # Whoever serves the pool starts again meanwhile.
        with suppress(ListuneError):
            if query(settings.streams, sql)[1][0][0] >= least:
                return True
        time.sleep(LOOK_S)
    return False
