"""How an induced schema is shown: its decisions, those that cost most first."""

from collections import Counter
from pathlib import Path

from rich.table import Table
from rich.text import Text

from infra.cli.output import console
from infra.induction.costs import Cost
from infra.induction.induce import Induction

SHOWN = 40


def show_induction(induction: Induction, path: Path) -> None:
    """Print what was decided and what it costs; `path` is the schema that has all of it."""
    types = Counter(a.type for s in induction.schemas.values() for a in s.attributes)
    counted = ", ".join(f"{count:,} {kind}" for kind, count in types.most_common())
    if not induction.values:
        console.print(
            f"{path} asks for nothing: no product has a value of an attribute; name their columns "
            "in the map",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        return
    rows = _rows(induction)
    rows.sort(key=lambda row: -row[1].left_out)
    table = Table("category", "attribute", "type", "why")
    table.add_column("values", justify="right")
    table.add_column("left out", justify="right")
    table.add_column("the first")
    for words, cost in rows[:SHOWN]:
        first = cost.examples[0] if cost.examples else ""
        cells = (*words, f"{cost.values:,}", f"{cost.left_out:,}", first)
        table.add_row(*map(Text, cells))
    console.print(table)
    say = [
        f"{path} has {len(induction.categories):,} categories with {types.total():,} attributes "
        f"({counted}), and why each is so",
        f"{induction.lost:,} of {induction.values:,} values would be left out; widen an attribute "
        "in the file where that is too much",
    ]
    if len(rows) > SHOWN:
        say.insert(0, f"{len(rows) - SHOWN:,} more decisions, which cost less, are in the file")
    if induction.unseen:
        say.append(
            f"{induction.unseen:,} values or products were not looked at: the catalog has too many "
            "categories and attributes; check which columns are category and attribute names"
        )
    for line in say:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _rows(induction: Induction) -> list[tuple[tuple[str, str, str, str], Cost]]:
    """Of each decision category, attribute, type and reason, and its cost."""
    rows = []
    for category in induction.categories:
        name = category.schema.category
        for one in category.asked:
            attribute = one.decision.attribute
            why = one.decision.why
            if one.taken_from is not None:
                why = f"as in {one.taken_from}: {why}"
            rows.append(((name, attribute.name, str(attribute.type), why), one.cost))
        rows += [((name, one.name, "not asked", one.why), one.cost) for one in category.left_out]
    return rows
