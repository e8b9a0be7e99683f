"""What is said of a run: its headline, what the gate decided, and how a figure is written."""

from collections.abc import Iterator

from infra.demo.rows import Interval95, RoundRow, RunReport, best_candidate

BLANK = "–"


def headline(report: RunReport) -> str:
    """What the best candidate is worth beside the base, and whether it serves."""
    base, best = report.rounds[0], best_candidate(report)
    if best is None:
        worth = number(base.net_benefit)
        return f"No round brought a candidate: {report.serves} serves, net benefit {worth}"
    moved = f"Net benefit {number(base.net_benefit)} → {number(best.net_benefit)}"
    if best.adapter == report.serves:
        return f"{moved} ({base.adapter} → {best.adapter}, which serves)"
    return f"{moved} ({base.adapter} → {best.adapter}, which does not serve: {_why(report, best)})"


def example_note(report: RunReport) -> str | None:
    """A sentence where a worked example does more for the base than all rounds; else None."""
    best = best_candidate(report)
    for row in report.baselines:
        if best and (row.net_benefit or 0.0) > (best.net_benefit or 0.0):
            return (
                "The base with a worked example in its prompt does better than every round: net "
                f"benefit {number(row.net_benefit)}, the best round {number(best.net_benefit)}."
            )
    return None


def gate_lines(report: RunReport) -> Iterator[str]:
    """What was decided of each round, at which look, on how many listings, and why."""
    for row in report.rounds[1:]:
        where = (
            f" at look {row.look} on {row.gate_listings} held-out listings"
            if row.look and row.gate_listings
            else ""
        )
        why = f": {row.reason}" if row.reason else ""
        yield f"round {row.round}: {row.decision}{where}{why}"


def label(row: RoundRow) -> str:
    """What a row goes by where there is no room for an adapter's id."""
    return f"round {row.round}" if row.round else row.adapter


def number(value: float | None) -> str:
    """A net benefit or a share as it is shown: `0.82`, `−0.05`, or a dash."""
    # What rounds to nothing has no sign.
    return BLANK if value is None else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def interval(bounds: Interval95 | None, between: str | None = None) -> str:
    """An interval as it is shown: `0.78–0.86`, `−0.05 to 0.11`, or nothing."""
    if bounds is None:
        return ""
    dash = "–" if bounds[0] >= 0 else " to "
    return (between or dash).join(map(number, bounds))


def milliseconds(value: float | None) -> str:
    """Milliseconds as seconds, `1.2 s`, or a dash."""
    return BLANK if value is None else f"{value / 1000:.1f} s"


def seconds(value: float | None) -> str:
    """Whole seconds, `94 s`, or a dash."""
    return BLANK if value is None else f"{value:,.0f} s"


def count(value: int | None) -> str:
    """A number of things, `1,066`, or a dash."""
    return BLANK if value is None else f"{value:,}"


def duration(value: float) -> str:
    """Minutes and seconds, `6 min 11 s`."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _why(report: RunReport, row: RoundRow) -> str:
    """Why the adapter of `row` does not serve."""
    reason = f": {row.reason}" if row.reason else ""
    match row.decision:
        case "promoted":
            return f"{report.serves} serves after it"
        case "challenger":
            return f"the gate keeps it as challenger{reason}"
        case "rejected":
            return f"the gate rejected it{reason}"
    return f"{row.decision}{reason}"
