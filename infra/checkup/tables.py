"""A check as tables for a terminal of 80 columns or more, and as sentences."""

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.checkup.report import AttributeCheck, CheckReport, Pictures

SHOWN_FINDINGS = 10
SHOWN_REASONS = 10
_STYLES = {"stop": "bold red", "mend": "yellow", "hint": "dim"}


def print_check(report: CheckReport, console: Console) -> None:
    """The table, what was refused, groups, what can be held out; the last line is the verdict."""
    console.print(attributes_table(report))
    for line in [*refusal_lines(report), *catalog_lines(report)]:
        console.print(line, highlight=False, markup=False)
    shown = [one for one in report.findings if one.severity != "hint"][:SHOWN_FINDINGS]
    hints = [one for one in report.findings if one.severity == "hint"]
    for one in (shown + hints)[:SHOWN_FINDINGS]:
        console.print(Text(f"{one.severity}: {one.sentence}", style=_STYLES[one.severity]))
    console.print(Text(verdict(report), style="bold green" if report.ready else "bold red"))


def attributes_table(report: CheckReport) -> Table:
    """A row for each attribute, below its category."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    headings = ("filled", "distinct", f"longest\n{report.unit}", "in text", "refused")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    category = None
    for row in report.attributes:
        if row.category != category:
            category = row.category
            table.add_row(Text(category, style="bold"))
        table.add_row(Text(f"  {row.attribute} ({row.type})"), *figures(row))
    return table


def figures(row: AttributeCheck) -> tuple[str, str, str, str, str]:
    """Filled, distinct, longest against its cap, the share in the text, refused."""
    return (
        share(row.filled, row.products),
        f"{row.distinct:,}",
        "" if not row.filled else f"{row.longest}/{row.cap}" if row.cap else str(row.longest),
        "" if row.in_text is None else share(row.in_text, row.values),
        f"{row.refused:,}" if row.refused else "",
    )


def share(part: int, of_all: int) -> str:
    """In percent; empty of nothing."""
    return f"{part / of_all:.0%}" if of_all else ""


def refusal_lines(report: CheckReport) -> Iterator[str]:
    """The most frequent reasons for which values or lines were left out, with the first ten."""
    reasons = [
        (f"{row.category}, {row.attribute}", one)
        for row in report.attributes
        for one in row.reasons
    ]
    reasons += [("whole lines", one) for one in report.wrong]
    reasons.sort(key=lambda one: -one[1].count)
    for where, reason in reasons[:SHOWN_REASONS]:
        examples = "; ".join(reason.examples)
        yield f"{where}: {reason.count} left out because {reason.reason}: {examples}"
    if len(reasons) > SHOWN_REASONS:
        yield f"and {len(reasons) - SHOWN_REASONS} other reasons: --out FOLDER writes them all"


def catalog_lines(report: CheckReport) -> Iterator[str]:
    """About the catalog as a whole."""
    yield (
        f"{report.products:,} products of {report.lines:,} lines, {report.with_values:,} with "
        "values"
    )
    if report.pictures.products or report.pictures.missing:
        yield _pictures_line(report.pictures)
    if report.empty_categories:
        yield f"{report.empty_categories:,} categories of the schema have no product"
    compared = "" if report.compared == report.products else f" (of {report.compared:,} compared)"
    several = "" if not report.largest else f"; the largest has {report.largest[0].products}"
    yield f"{report.groups:,} groups of near-duplicate products{compared}{several}"
    for group in report.largest:
        yield f"  {group.products} in {group.category}: " + " · ".join(group.examples)
    split = report.split
    yield (
        f"{split.judges:,} can be held out to judge, {split.teachers:,} can teach, "
        f"{split.apart:,} of them unlike all that judge"
    )
    if report.unit == "characters":
        yield (
            "lengths are in characters: the base model, whose tokens count, is not here; "
            "`listune fetch` brings it"
        )


def _pictures_line(pictures: Pictures) -> str:
    without = f", {pictures.without_text:,} of them without a text" if pictures.without_text else ""
    missing = f"; {pictures.missing:,} images are not there" if pictures.missing else ""
    return f"{pictures.products:,} products have pictures{without}{missing}"


def verdict(report: CheckReport) -> str:
    """The last line."""
    if report.ready:
        return "ready"
    worst = next(one for one in report.findings if one.severity != "hint")
    return f"mend first: {worst.sentence}"
