"""Goals on the figures of rows, any of which may be missing."""

from collections.abc import Callable, Sequence

from infra.lab.bench.listings import GENERATED
from infra.lab.bench.results import ArmResult, Goal, Scalar

NOT_BOTH = "one of the two arms was not measured"


def rows_with(rows: Sequence[ArmResult], **settings: Scalar) -> list[ArmResult]:
    """The rows that ran and have these settings, on generated listings if `set` is not given."""
    wanted = {"set": GENERATED, **settings}
    return [
        row
        for row in rows
        if not row.not_run and all(row.settings.get(k) == v for k, v in wanted.items())
    ]


def first(rows: Sequence[ArmResult], **settings: Scalar) -> ArmResult | None:
    """The first of `rows_with` these settings."""
    return next(iter(rows_with(rows, **settings)), None)


def best(
    rows: Sequence[ArmResult], figure: str, which: Callable[..., ArmResult]
) -> ArmResult | None:
    """The row with the highest or lowest `figure` (`which` is max or min), if any has it."""
    known = [row for row in rows if row.figure(figure) is not None]
    return which(known, key=lambda row: row.figures[figure]) if known else None


def ratio(
    name: str,
    wanted: float,
    upper: ArmResult | None,
    lower: ArmResult | None,
    figure: str,
    at_least: bool = True,
) -> Goal:
    """The goal on `figure` of one row over that of another."""
    above = upper.figure(figure) if upper else None
    below = lower.figure(figure) if lower else None
    if not above or not below:
        return Goal(name, wanted, None, at_least, NOT_BOTH)
    return Goal(name, wanted, above / below, at_least)
