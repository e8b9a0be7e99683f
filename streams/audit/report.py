"""An audit's report: correctness, agreement and correct completeness, as data.

A value that several auditors judged counts as the share of them who call it right; one that nobody
could tell is left out and counted. What decides is the prediction-powered estimate; the classical
one, without scores, stands beside it. Categories and attributes have the classical one alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from streams.audit.agreement import Agreement, agreement
from streams.audit.prediction_powered import (
    Estimate,
    Judged,
    correctness,
    share_within,
    times,
)
from streams.audit.record import SAID, Key, Verdict
from streams.audit.sampling import Ask, Item, Sample

WORDS = {"right": "right", "wrong": "wrong", "cannot_tell": "cannot tell"}
Standing = Mapping[str, Mapping[Key, Verdict]]
"""What stands of each auditor's verdicts, by value."""


@dataclass(frozen=True)
class Group:
    """Values of one kind: `by` is what they have in common, `name` which. The classical estimate,
    and the powered one where the kind is made of whole strata."""

    by: str
    name: str
    values: int | None
    classical: Estimate
    powered: Estimate | None


@dataclass(frozen=True)
class Adapter:
    """An adapter's completeness on the listings that its sellers reviewed, its correctness, and
    their product."""

    adapter_id: str
    completeness: Estimate
    correctness: Estimate
    correct_completeness: Estimate


@dataclass(frozen=True)
class Pair:
    """How far two auditors agree."""

    one: str
    other: str
    agreement: Agreement


@dataclass(frozen=True)
class Disagreement:
    """A value that two auditors judged differently, and what each said."""

    prediction_id: str
    category: str
    attribute: str
    value: list[str]
    verdicts: dict[str, str]


@dataclass(frozen=True)
class Report:
    """All that an audit says so far. `judged`: values with a verdict that tells; `cannot_tell`:
    values of which no auditor could."""

    audit: str
    until: str
    seed: int
    values: int
    drawn: int
    forgotten: int
    judged: int
    cannot_tell: int
    auditors: dict[str, int]
    decides: Estimate
    classical: Estimate
    groups: list[Group]
    adapters: list[Adapter]
    change: Estimate | None
    pairs: list[Pair]
    disagreements: list[Disagreement]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def make_report(sample: Sample, standing: Standing, completeness: Mapping[str, Estimate]) -> Report:
    """The report of `sample` by what auditors said.

    completeness: by adapter, in the order in which they came.

    Raises:
        AuditError: fewer than two values are judged.
    """
    right = {item.key: _right(item.key, standing) for item in sample.items}
    told = [item for item in sample.items if right[item.key] is not None]
    asked = [item for item in sample.items if any(item.key in said for said in standing.values())]
    places = _by_stratum(sample, told)
    judged = [
        Judged(
            stratum.values,
            stratum.mean_score,
            np.array([right[item.key] for item in own], dtype=np.float64),
            np.array([item.score for item in own], dtype=np.float64),
        )
        for stratum, own in zip(sample.strata, places, strict=True)
    ]
    groups = _groups(sample, places, judged)
    adapters = _adapters(groups, completeness)
    return Report(
        audit=sample.audit,
        until=sample.until,
        seed=sample.seed,
        values=sample.values,
        drawn=len(sample.items),
        forgotten=sample.forgotten,
        judged=len(told),
        cannot_tell=len(asked) - len(told),
        auditors={
            name: sum(item.key in said for item in sample.items) for name, said in standing.items()
        },
        decides=correctness(judged),
        classical=correctness(judged, power=0),
        groups=groups,
        adapters=adapters,
        change=_change(adapters),
        pairs=_pairs(sample, standing),
        disagreements=_disagreements(sample, standing),
    )


COMPLETENESS = """
    WITH sellers AS (
        SELECT adapter_id, sum(c_model) AS filled, count(*) AS listings
        FROM samples WHERE purpose = 'live'
        GROUP BY adapter_id, coalesce(seller_id, listing_id)
    ),
    means AS (
        SELECT *, sum(filled) OVER (PARTITION BY adapter_id)
                  / sum(listings) OVER (PARTITION BY adapter_id) AS mean
        FROM sellers
    ),
    found AS (
        SELECT adapter_id, any_value(mean) AS mean, sum(listings)::BIGINT AS listings,
               count(*) AS sellers, sum(power(filled - mean * listings, 2)) AS squares
        FROM means GROUP BY adapter_id
    )
    SELECT adapter_id, mean, listings, sellers, squares FROM found ORDER BY adapter_id
"""
"""Completeness of live answers, equation (1), by adapter; clustered by seller."""


ORDER = 'SELECT adapter_id FROM models ORDER BY "round", created_at'
"""The adapters in the order in which they came."""


def read_completeness(ask: Ask) -> dict[str, Estimate]:
    """The mean completeness of each adapter's live answers that were reviewed, in the order in
    which the adapters came; errors are those of sellers drawn, each with all of its listings.

    Raises:
        SqlError: the pool cannot be read.
    """
    # A statement of its own: the endpoint reads one view at a time.
    age = {row[0]: n for n, row in enumerate(ask(ORDER)[1])}
    rows = ask(COMPLETENESS)[1]
    found = {}
    for adapter_id, mean, listings, sellers, squares in sorted(
        rows, key=lambda row: age.get(row[0], len(age))
    ):
        # Of one seller nothing can be told: as wide as can be.
        clusters = sellers / (sellers - 1) * squares if sellers > 1 else float(listings) ** 2
        error = math.sqrt(clusters) / listings
        low, high = max(0.0, mean - 1.96 * error), min(1.0, mean + 1.96 * error)
        found[adapter_id] = Estimate(mean, low, high, error, listings)
    return found


def _right(key: Key, standing: Standing) -> float | None:
    """The share of auditors who call it right, of those who could tell."""
    said = [v.verdict for own in standing.values() if (v := own.get(key)) is not None]
    telling = [verdict == "right" for verdict in said if verdict != "cannot_tell"]
    return sum(telling) / len(telling) if telling else None


def _by_stratum(sample: Sample, items: Sequence[Item]) -> list[list[Item]]:
    places: list[list[Item]] = [[] for _ in sample.strata]
    for item in items:
        places[item.stratum].append(item)
    return places


def _groups(
    sample: Sample, places: Sequence[Sequence[Item]], judged: Sequence[Judged]
) -> list[Group]:
    groups = []
    for by, name, whole in _kinds(sample):
        own = [judged[place] for place in whole]
        if sum(len(one.right) for one in own) >= 2:
            values = sum(one.values for one in own)
            powered, classical = correctness(own), correctness(own, power=0)
            groups.append(Group(by, name, values, classical, powered))
    for by in ("category", "attribute"):
        for name in sorted({getattr(item, by) for own in places for item in own}):
            inside = [np.array([getattr(i, by) == name for i in own], bool) for own in places]
            if (found := share_within(judged, inside)) is not None:
                groups.append(Group(by, name, None, found, None))
    return groups


def _kinds(sample: Sample) -> list[tuple[str, str, list[int]]]:
    """What whole strata have in common, its name, and their places: adapters, then bands."""
    adapters: dict[str, list[int]] = {}
    bands = []
    for place, stratum in enumerate(sample.strata):
        adapters.setdefault(stratum.adapter_id, []).append(place)
        bands.append(("confidence", f"{stratum.adapter_id} {stratum.band}", [place]))
    return [*(("adapter", name, places) for name, places in adapters.items()), *bands]


def _adapters(groups: Sequence[Group], completeness: Mapping[str, Estimate]) -> list[Adapter]:
    powered = {group.name: group.powered for group in groups if group.by == "adapter"}
    return [
        Adapter(name, complete, right, times(complete, right))
        for name, complete in completeness.items()
        if (right := powered.get(name)) is not None
    ]


def _change(adapters: Sequence[Adapter]) -> Estimate | None:
    """Of correct completeness, from the first adapter to the last; -1 to 1."""
    if len(adapters) < 2:
        return None
    before, after = adapters[0].correct_completeness, adapters[-1].correct_completeness
    value, error = after.value - before.value, math.hypot(before.error, after.error)
    audited = before.audited + after.audited
    return Estimate(value, value - 1.96 * error, value + 1.96 * error, error, audited)


def _pairs(sample: Sample, standing: Standing) -> list[Pair]:
    pairs = []
    for one, other in combinations(sorted(standing), 2):
        both = [i.key for i in sample.items if i.key in standing[one] and i.key in standing[other]]
        first, second = ([str(standing[who][key].verdict) for key in both] for who in (one, other))
        pairs.append(Pair(one, other, agreement(first, second, SAID)))
    return pairs


def _disagreements(sample: Sample, standing: Standing) -> list[Disagreement]:
    found = []
    for item in sample.items:
        said = {who: v for who, own in standing.items() if (v := own.get(item.key)) is not None}
        if len({v.verdict for v in said.values()}) > 1:
            verdicts = {who: _words(verdict) for who, verdict in said.items()}
            found.append(
                Disagreement(
                    item.prediction_id, item.category, item.attribute, item.value, verdicts
                )
            )
    return found


def _words(said: Verdict) -> str:
    instead = f" ({' | '.join(said.right_value)})" if said.right_value else ""
    return f"{WORDS[said.verdict or 'cannot_tell']}{instead}"
