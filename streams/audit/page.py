"""An audit's report for people: as tables, as a paragraph and as a page."""

from streams.audit.agreement import Coefficient
from streams.audit.prediction_powered import Estimate
from streams.audit.report import Group, Report

LEAST_SHOWN = 5
"""Audited values of a category or an attribute that a table shows."""
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
