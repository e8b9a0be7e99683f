"""An audit's report: correctness, agreement and correct completeness; as data and as a page.

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

from streams.audit.agreement import Agreement, Coefficient, agreement
from streams.audit.prediction_powered import (
    Estimate,
    Judged,
    correctness,
    share_within,
    times,
)
from streams.audit.record import SAID, Key, Verdict
from streams.audit.sampling import Ask, Item, Sample

LEAST_SHOWN = 5
"""Audited values of a category or an attribute that a table shows."""
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


# ------------------------------------------------------------------------------------- for people

Grid = tuple[str, list[str], list[list[str]]]
"""Title, header and lines of a table."""


def grids(report: Report) -> list[Grid]:
    """The report as tables; what decides is marked."""
    found: list[Grid] = [
        (
            "Correctness of all suggested values",
            ["estimate", "right", "95 % interval", "decides"],
            [
                ["prediction-powered", *_shown(report.decides), "yes"],
                ["classical", *_shown(report.classical), ""],
            ],
        )
    ]
    if report.adapters:
        lines = [
            [a.adapter_id, *(_whole(e) for e in (
                a.completeness, a.correctness, a.correct_completeness))]
            for a in report.adapters
        ]  # fmt: skip
        if report.change is not None:
            lines.append(["change, first to last", "", "", _whole(report.change)])
        header = ["adapter", "completeness", "× correctness", "= correct completeness"]
        found.append(("Correct completeness", header, lines))
    found += [grid for by in ("adapter", "confidence") if (grid := _whole_kinds(report, by))]
    found += [grid for by in ("category", "attribute") if (grid := _part_kinds(report, by))]
    if report.pairs:
        lines = [
            [f"{p.one}, {p.other}", str(p.agreement.both), str(p.agreement.agreed),
             _coefficient(p.agreement.kappa), _coefficient(p.agreement.ac1)]
            for p in report.pairs
        ]  # fmt: skip
        header = ["auditors", "both judged", "alike", "Cohen's kappa", "Gwet's AC1"]
        found.append(("Agreement", header, lines))
    if report.disagreements:
        lines = [
            [d.category, d.attribute, " | ".join(d.value),
             "; ".join(f"{who}: {said}" for who, said in d.verdicts.items())]
            for d in report.disagreements
        ]  # fmt: skip
        found.append(("Judged differently", ["category", "attribute", "value", "verdicts"], lines))
    return found


def _whole_kinds(report: Report, by: str) -> Grid | None:
    lines = [
        [group.name, f"{group.values or 0:,}", *_audited(group)]
        for group in report.groups
        if group.by == by
    ]
    header = [by, "values", "audited", "right", "95 % interval"]
    return (f"Right by {by}", header, lines) if len(lines) > 1 else None


def _part_kinds(report: Report, by: str) -> Grid | None:
    """The lowest first; of a few audited values nothing could be seen."""
    groups = [group for group in report.groups if group.by == by]
    told = [group for group in groups if group.classical.audited >= LEAST_SHOWN]
    lines = [
        [group.name, *_audited(group)]
        for group in sorted(told, key=lambda group: group.classical.value)
    ]
    few = len(groups) - len(told)
    left_out = f"; {few} more with fewer than {LEAST_SHOWN} audited" if few else ""
    header = [by, "audited", "right", "95 % interval"]
    return (f"Right by {by}, lowest first{left_out}", header, lines) if lines else None


def _audited(group: Group) -> list[str]:
    return [str(group.classical.audited), *_shown(group.powered or group.classical)]


def summary(report: Report) -> str:
    """One paragraph: what was drawn from what, and who judged how much of it."""
    who = ", ".join(f"{name} {count}" for name, count in report.auditors.items())
    text = (
        f"{report.drawn} of {report.values:,} suggested values were drawn (seed {report.seed}, "
        f"answers up to {report.until[:19]} UTC); judged: {who}. "
        f"{report.judged} have a verdict that tells, {report.cannot_tell} nobody could tell; "
        "those are left out."
    )
    if report.forgotten:
        text += f" {report.forgotten} left the audit with listings that were forgotten."
    return text


def markdown(report: Report) -> str:
    """The report as a page."""
    parts = [f"# Audit {report.audit}", summary(report)]
    for title, header, lines in grids(report):
        rows = [header, ["---"] * len(header), *lines]
        cells = ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows]
        parts += [f"## {title}", "\n".join(cells)]
    return "\n\n".join(parts) + "\n"


def _shown(estimate: Estimate) -> list[str]:
    return [f"{estimate.value:.3f}", f"{estimate.low:.3f} to {estimate.high:.3f}"]


def _whole(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _coefficient(found: Coefficient | None) -> str:
    if found is None:
        return "not defined"
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
