"""The tables of an experiment's report, for a terminal of 80 columns and as Markdown."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

from streams.arms.measures import ACCEPTANCE, ACCEPTED, FINAL, GENERATED, MEASURES, NET_BENEFIT
from streams.arms.plan import Planned
from streams.arms.report import ArmRow, ArmsReport, Fixed

SHORT = {
    ACCEPTANCE: "acceptance",
    GENERATED: "generated",
    ACCEPTED: "generated and accepted",
    FINAL: "final",
    NET_BENEFIT: "net benefit",
}
MISMATCH = 0.01
"""A p-value below this is said to be a mismatch, as is usual for this check: with one, no figure of
the experiment counts."""
BLANK = "–"
INDENT = "\u2002"
"""Before an arm below its measure: a space that Markdown keeps."""


FIRST_COLUMN = 8
"""Characters that an arm's name has at least, if it is so long: `champion` stays on one line."""


@dataclass(frozen=True)
class Sheet:
    """A table; a cell may have several lines. The first column is text."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str


def sheets(report: ArmsReport) -> list[Sheet]:
    """All tables of a report."""
    return [_sequences(report), _fixed_horizon(report), _answers(report), table2(report)]


def table2(report: ArmsReport) -> Sheet:
    """The paper's Table 2: acceptance, and completeness generated and accepted, by arm."""
    rows = []
    for row in report.rows:
        cells = [row.arm, str(row.reviews)]
        for measure in (ACCEPTANCE, ACCEPTED):
            found = row.fixed.get(measure)
            z, p = (found.z, found.p) if found else (None, None)
            cells += [_plus_minus(found), _signed(z), _p(p)]
        rows.append(cells)
    return Sheet(
        f"Table 2: {report.experiment}",
        ("arm", "reviews", "acceptance, %", "z", "p", "generated and\naccepted, %", "z", "p"),
        rows,
        "± 95 % by the delta method over sellers. z and p: two proportions of values against "
        f"{report.rows[0].arm}, as in the paper, which takes every value for evidence of its own. "
        "Valid only at the end that was planned.",
    )


def said(report: ArmsReport) -> list[str]:
    """What is to be known of an experiment as a whole, in sentences."""
    lines = []
    if report.ratios is not None:
        counts = ", ".join(f"{arm} {count:,}" for arm, count in report.ratios.counts.items())
        p = report.ratios.p_value
        if p < MISMATCH:
            lines.append(
                f"Sample ratio mismatch (p {_p(p)}; sellers: {counts}): the arms do not get their "
                "shares, so that no figure counts; find out where sellers get lost."
            )
        else:
            lines.append(f"The arms get their shares (p {_p(p)}; sellers: {counts}).")
    if report.elsewhere:
        lines.append(
            f"{report.elsewhere:,} sellers were answered in an arm that is not theirs; the predict "
            "workers disagree about the experiment: see that all run one version."
        )
    if not any(row.reviewed for row in report.rows):
        lines.append("No seller in it has reviewed an answer yet; look again when some have.")
    return lines


def plan_sheet(planned: Sequence[Planned], control: str, most: int) -> Sheet:
    """How many sellers each arm needs, and how long that takes."""
    rows = [
        (
            one.arm,
            f"{one.share:g}",
            _signed(one.difference),
            _needed(one.needed.median, most),
            _needed(one.needed.p90, most),
            _days(one.days_median),
            _days(one.days_p90),
            _percent(one.needed.decided),
        )
        for one in planned
    ]
    return Sheet(
        f"Reviewed sellers of both arms until {control} and the other are told apart",
        ("arm", "share", "difference", "median", "90 %", "days", "days 90 %", "decided"),
        rows,
        "By simulation of the sequence that decides, looked at after every seller. Days: at the "
        "traffic of the last week with reviews, each seller counted once.",
    )


def _lines(sheet: Sheet) -> Iterator[str]:
    """The lines of the first column."""
    return (line for row in sheet.rows for line in row[0].split("\n"))


def rich_table(sheet: Sheet) -> Table:
    """A sheet for the terminal."""
    table = Table(
        title=escape(sheet.title), caption=sheet.note, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for place, heading in enumerate(sheet.headings):
        if place == 0:
            longest = max((cell_len(line) for line in _lines(sheet)), default=0)
            table.add_column(heading, overflow="fold", min_width=min(longest, FIRST_COLUMN))
        else:
            table.add_column(heading, justify="right", no_wrap=True)
    for row in sheet.rows:
        table.add_row(*map(escape, row))
    return table


def markdown(sheet: Sheet) -> str:
    """A sheet as Markdown."""
    rule = ["---", *["---:"] * (len(sheet.headings) - 1)]
    lines = [
        [cell.replace("|", "\\|").replace("\n", "<br>") for cell in row]
        for row in (sheet.headings, rule, *sheet.rows)
    ]
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    return f"## {sheet.title}\n\n{table}\n{sheet.note}\n"


def _sequences(report: ArmsReport) -> Sheet:
    rows = []
    for measure in MEASURES:
        rows.append((SHORT[measure], *[""] * 5))
        for row in report.rows:
            own, apart = row.figures.get(measure), row.differences.get(measure)
            rows.append(
                (
                    INDENT + row.arm,
                    str(own.sellers) if own else "0",
                    _number(own.value if own else None),
                    _between(own.low, own.high) if own else "",
                    _signed(apart.value if apart else None),
                    _between(apart.low, apart.high) if apart else "",
                )
            )
    return Sheet(
        f"{report.experiment} ({report.state}): one number a seller",
        ("", "sellers", "mean", _percent(1 - report.alpha), "Δ", _percent(1 - report.alpha)),
        rows,
        f"Δ: minus {report.rows[0].arm}. The intervals are betting sequences: they hold however "
        "often one looks, and decide. Net benefit: (accepted − "
        f"{report.cost_of_wrong:g} × not accepted) / asked for; the others are shares of what was "
        "asked for, acceptance of what was suggested.",
    )


def _fixed_horizon(report: ArmsReport) -> Sheet:
    rows = []
    for measure in MEASURES:
        rows.append((SHORT[measure], *[""] * 6))
        for row in report.rows:
            own = row.fixed.get(measure)
            rows.append(
                (
                    INDENT + row.arm,
                    _number(own.value if own else None),
                    _between(own.low, own.high) if own else "",
                    _signed(own.z_sellers if own else None),
                    _p(own.p_sellers if own else None),
                    _signed(own.z if own else None),
                    _p(own.p if own else None),
                )
            )
    level = _percent(1 - report.alpha)
    return Sheet(
        "Fixed horizon: valid only at the planned end",
        ("", "ratio", level, "z", "p", "z of\nvalues", "p of\nvalues"),
        rows,
        "Of all values of all reviewed answers. Interval, z and p: delta method over sellers. Of "
        "values: two proportions, as in the paper, which takes every value for evidence of its "
        "own.",
    )


def _answers(report: ArmsReport) -> Sheet:
    columns: dict[str, Callable[[ArmRow], str]] = {
        "arm\nanswered by": lambda row: f"{row.arm}\n{row.answers_with}",
        "sellers\nreviewed": lambda row: f"{row.sellers:,}\n{row.reviewed:,}",
        "answers\nreviews": lambda row: f"{row.answered:,}\n{row.reviews:,}",
        "failed\nfell back": lambda row: f"{row.failed:,}\n{row.fell_back:,}",
        "p50\np90": lambda row: f"{_seconds(row.p50_ms)}\n{_seconds(row.p90_ms)}",
        "tokens read\nwritten": lambda row: (
            f"{_whole(row.tokens_read)}\n{_whole(row.tokens_written)}"
        ),
    }
    if any(row.cost_per_thousand is not None for row in report.rows):
        columns["cost / 1,000\n1,000 accepted"] = _costs
    return Sheet(
        "How the arms answered",
        list(columns),
        [[cell(row) for cell in columns.values()] for row in report.rows],
        "Of live answers; tokens are means of one.",
    )


def _tokens(row: ArmRow) -> str:
    return f"{_whole(row.tokens_read)}\n{_whole(row.tokens_written)}"


def _costs(row: ArmRow) -> str:
    return f"{_money(row.cost_per_thousand)}\n{_money(row.cost_per_accepted, 1000)}"


def _plus_minus(found: Fixed | None) -> str:
    """In percent; the interval may be cut off at an end, so that the wider half is told."""
    if found is None:
        return BLANK
    half = max(found.high - found.value, found.value - found.low)
    return f"{100 * found.value:.1f} ± {100 * half:.1f}"


def _number(value: float | None) -> str:
    # What rounds to nothing has no sign.
    return BLANK if value is None else _minus(f"{round(value, 2) + 0.0:.2f}")


def _signed(value: float | None) -> str:
    if value is None:
        return BLANK
    return _minus(f"{round(value, 2) + 0.0:+.2f}")


def _between(low: float, high: float) -> str:
    dash = "–" if low >= 0 else " to "
    return f"{_number(low)}{dash}{_number(high)}"


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _p(value: float | None) -> str:
    if value is None:
        return BLANK
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _seconds(value: float | None) -> str:
    return BLANK if value is None else f"{value / 1000:.2f} s"


def _whole(value: float | None) -> str:
    return BLANK if value is None else f"{value:,.0f}"


def _money(value: float | None, times: int = 1) -> str:
    return BLANK if value is None else f"{value * times:,.4g}"


def _needed(sellers: int | None, most: int) -> str:
    return f"> {most:,}" if sellers is None else f"{sellers:,}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _days(value: float | None) -> str:
    return BLANK if value is None else f"{value:,.1f}"
