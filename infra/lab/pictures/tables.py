"""The tables of the results page, as Markdown of 80 columns at most, from the figures alone."""

from collections.abc import Mapping

import numpy as np

from infra.lab.experiment.statistics import DRAWS, measured
from infra.lab.experiment.tables import grid
from infra.lab.pictures.figures import (
    ARMS,
    FILLED,
    MAJORITY,
    NEAREST_PICTURE,
    NEAREST_TEXT,
    READS,
    SEES,
    VIEWS,
    CatalogFigures,
    PicturesFigures,
    TrialFigures,
)
from infra.lab.pictures.goals import Goal, goals, minus
from schemas.events import Interval
from trainer.judging.evaluate import Inputs
from trainer.judging.intervals import Ratio, draw_listings, interval

NAMES = (
    *ARMS,
    MAJORITY,
    *(name + end for name in (NEAREST_TEXT, NEAREST_PICTURE) for end in ("", FILLED)),
)
"""Who answered, as the tables have them."""

SHOWN = ("recall", "net benefit", "precision", "completeness")

CALLED: Mapping[Inputs, str] = {"text": "text", "image": "picture", "text+image": "both"}


def by_view(data: CatalogFigures, view: Inputs) -> str:
    """Everyone who was shown `view` of the test products."""
    lines = []
    for name in NAMES:
        if scores := data.answers[view].get(name):
            found = measured(data.test, scores)
            lines.append([name, *(percent(found[metric]) for metric in SHOWN)])
    return grid([CALLED[view], *SHOWN], lines)


def differences(data: CatalogFigures) -> str:
    """What a picture adds to a text, and what looking brings over not looking."""
    pairs: list[tuple[str, tuple[Inputs, str], tuple[Inputs, str]]] = [
        ("both − text", ("text+image", SEES), ("text", SEES)),
        *((f"{CALLED[view]}: pictures − text only", (view, SEES), (view, READS)) for view in VIEWS),
        ("picture: − majority", ("image", SEES), ("image", MAJORITY)),
        ("picture: − nearest", ("image", SEES), ("image", NEAREST_PICTURE)),
        ("picture: − nearest +", ("image", SEES), ("image", NEAREST_PICTURE + FILLED)),
    ]
    lines = [
        [label, *(points(found[metric]) for metric in SHOWN[:2])]
        for label, one, other in pairs
        if other[1] in data.answers[other[0]]
        for found in [minus(data, one, other)]
    ]
    return grid(["difference, in points", *SHOWN[:2]], lines)


def goals_table(figures: PicturesFigures) -> str:
    """Each goal, and whether it was met."""
    lines = [
        [goal.catalog, goal.name, _measured(goal), "yes" if goal.met else "no"]
        for data in figures.catalogs
        for goal in goals(data)
    ]
    return grid(["catalog", "goal, in recall", "measured", "met"], lines)


def seeds(data: CatalogFigures) -> str:
    """Each seed's own recall: how much of a difference is the luck of a training."""
    lines = []
    for name in ARMS:
        for view in VIEWS:
            shares = [
                f"{100 * measured(data.test, [one])['recall'].value:.1f}"
                for one in data.answers[view][name]
            ]
            lines.append([name, CALLED[view], ", ".join(shares)])
    return grid(["arm", "shown", "recall by seed"], lines)


def trained(figures: PicturesFigures) -> str:
    """How each adapter came about."""
    lines = [
        [
            one.catalog,
            one.arm,
            str(one.seed),
            str(one.steps),
            f"{one.label_tokens:,}",
            f"{one.seconds:,.0f}",
            f"{_last(one.losses):.2f}",
        ]
        for one in figures.trained
    ]
    headings = ["catalog", "arm", "seed", "steps", "label tokens", "seconds", "last loss"]
    return grid(headings, lines)


def trials(figures: PicturesFigures) -> str:
    """What was tried: recall, and loss, of each view on the calibration listings.

    The last column has the loss with both minus that of the first trial of the same thing on the
    same catalog, paired by listing.
    """
    first: dict[tuple[str, str], TrialFigures] = {}
    lines = []
    for one in figures.trials:
        reference = first.setdefault((one.about, one.catalog), one)
        change = "" if one is reference else _loss_change(one, reference)
        views = [_tried(one, view) for view in VIEWS]
        lines.append([f"{one.about}: {one.name}", *views, change])
    return grid(["tried", *(CALLED[view] for view in VIEWS), "Δ loss"], lines)


def mix(data: CatalogFigures) -> str:
    """What came in with what."""
    counts = ", ".join(f"{count} {CALLED[view]}" for view, count in data.mix.items())
    sizes = ", ".join(f"{count} {part}" for part, count in data.parts.items())
    return f"{data.products} products ({sizes}); trained on: {counts}."


def percent(share: Interval) -> str:
    """A share with its interval, in per cent."""
    value, low, high = (round(100 * x) for x in (share.value, share.low, share.high))
    return str(value) if low == high else f"{value} ({low}–{high})"


def points(change: Interval) -> str:
    """A difference with its interval, in percentage points."""
    return f"{100 * change.value:+.1f} ({100 * change.low:+.1f}, {100 * change.high:+.1f})"


def _measured(goal: Goal) -> str:
    found = goal.measured
    if goal.wanted:
        return f"{found.value:.2f} ({found.low:.2f}–{found.high:.2f})"
    return points(found)


def _tried(trial: TrialFigures, view: Inputs) -> str:
    found = measured(trial.asked, [trial.answers[view]])
    return f"{100 * found['recall'].value:.0f}, {np.mean(trial.losses[view]):.2f}"


def _loss_change(one: TrialFigures, reference: TrialFigures) -> str:
    """Shown both, listing by listing, with its 95 % interval."""
    changes = np.subtract(one.losses["text+image"], reference.losses["text+image"])
    mean = Ratio(changes, np.ones_like(changes))
    found = interval(mean, draw_listings(len(changes), DRAWS, seed=0))
    return f"{found.value:+.2f} ({found.low:.2f}, {found.high:.2f})"


def _last(losses: list[float]) -> float:
    last = losses[-max(len(losses) // 10, 1) :]
    return sum(last) / len(last)
