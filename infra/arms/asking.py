"""The live pool asked what an experiment shows."""

from functools import partial

from infra.settings import Settings
from streams.arms.observed import read
from streams.arms.plan import Seen, seen
from streams.arms.report import ArmsReport, report
from streams.sql.client import query
from streams.trials import ArmPrices


def arms_report(settings: Settings, name: str = "") -> ArmsReport:
    """The report of the experiment or canary `name`; without a name of the one that runs.

    Raises:
        ListuneError: there is none, or the pool cannot be asked.
    """
    observed = read(partial(query, settings.streams), name)
    prices = {arm: prices_of(settings, arm) for arm in observed.arm_names()}
    return report(observed, settings.streams.canary.cost_of_wrong, prices)


def prices_of(settings: Settings, arm: str) -> ArmPrices:
    """What the answers of an arm cost: its own prices, else those of `evaluation.prices`."""
    own = next((one.prices for one in settings.streams.experiment.arms if one.name == arm), None)
    return own or ArmPrices.model_validate(settings.evaluation.prices.model_dump())


def sellers_seen(settings: Settings) -> Seen:
    """What the live pool says of the sellers so far, to plan with.

    Raises:
        ListuneError: the pool cannot be asked.
    """
    return seen(partial(query, settings.streams))
