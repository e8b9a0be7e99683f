"""A map for a table that no known program wrote: roles by the columns' names and their values.

Nothing is guessed silently: each guess has a reason, which stands above it in `map.toml`.
"""

import re
from collections import defaultdict
from pathlib import Path

from infra.importing.candidates import Candidates
from infra.importing.errors import ImportFault
from infra.importing.guessed_attributes import attributes_of, cells_of, pairs_of
from infra.importing.map import (
    ColumnRoles,
    FileForm,
    ImportMap,
    Reasons,
    Skipped,
    Source,
    ValueRules,
)
from infra.importing.names import IGNORED, ROLES, bare_name, without_locale
from infra.importing.surveying import Survey

ONE_CATEGORY = "=Products"
NO_CATEGORY = (
    "no column is named like a category: all products are of this one; name a column, or write "
    "another constant"
)
FILLED = 0.95
NEARLY_ALL = 0.98
MOSTLY_OWN = 0.7
MOSTLY_FILLED = 0.5
LEAST_IDS = 3
REPEATED = 0.8
FEW_ROWS = 20
_IMAGE = re.compile(r"\S+\.(?:jpe?g|png|webp|gif|avif|tiff?)(?:[?#]\S*)?", re.IGNORECASE)
_PRODUCT_IDS = frozenset(map(bare_name, ROLES["id"][:14]))
_URL = re.compile(r"(?:https?:)?//\S+")
_NUMBERED = re.compile(r"(.*?)[\s_.-]*(\d{1,2})$")


def guess(survey: Survey, form: FileForm, path: Path) -> tuple[ImportMap, Reasons]:
    """A map for the table in `path` that `survey` looked at; values are not described yet.

    Raises:
        ImportFault: the table has no header.
    """
    table = Candidates(survey)
    _check_header(table, path)
    _one_language(table)
    roles = {
        "id": _id(table),
        "group": _group(table),
        "category": _category(table),
        "title": _title(table),
        "description": _description(table),
        "images": _images(table),
        "requested": _requested(table),
    }
    pairs = pairs_of(table)
    cells = cells_of(table)
    table.skip((n for n in table.left if bare_name(n) in IGNORED), "about selling, by its name")
    table.skip((n for n in table.left if table.share(n, _URL) >= FILLED), "links")
    others = [n for n in table.left if bare_name(n) in _PRODUCT_IDS]
    table.skip(others, "another identifier, by its name")
    attributes, units = attributes_of(table)
    if table.skipped:
        why = "; ".join(f"{name}: {why}" for name, why in table.skipped.items())
        table.reasons["skip", "columns"] = why
    return ImportMap(
        file=form,
        columns=ColumnRoles(**roles),
        attributes=attributes,
        pairs=pairs,
        cells=cells,
        values=ValueRules(default_units=units),
        skip=Skipped(columns=tuple(table.skipped)),
    ), table.reasons


def _check_header(table: Candidates, path: Path) -> None:
    """A file without a header has the values of its first product in the place of names.

    Raises:
        ImportFault: no column has a name that says anything, and one is called as its cells are.
    """
    if any(table.named(role) for role in ROLES):
        return
    for number, name in enumerate(table.left, 1):
        if name in table.cells[name]:
            raise ImportFault(
                f"{path}: its first row looks like a product and not like the names of columns: "
                f"column {number} is called {name!r} and has {name!r}; put a row of names above it"
            )


def _one_language(table: Candidates) -> None:
    """Of columns in several languages the language that most rows have; the others are skipped."""
    stems: dict[str, dict[str, str]] = defaultdict(dict)
    for name in table.left:
        if (found := without_locale(name)) is not None:
            stems[found[0]][found[1]] = name
    several = {stem: by for stem, by in stems.items() if len(by) > 1}
    if not several:
        return
    filled: dict[str, int] = defaultdict(int)
    for by in several.values():
        for locale, name in by.items():
            filled[locale] += len(table.cells[name])
    best = max(filled, key=lambda locale: filled[locale])
    for by in several.values():
        kept = best if best in by else next(iter(by))
        table.skip(
            (name for locale, name in by.items() if locale != kept),
            f"in another language than {kept}, in which most rows are written",
        )


def _id(table: Candidates) -> Source | None:
    named = table.named("id")
    for name in named:
        if table.filled(name) >= FILLED and table.distinct(name) >= NEARLY_ALL:
            return table.take("id", name, f"named so and filled; {_values(table, name)}")
    # Most rows say that it is the id; those that do not are to be told of, and not renamed.
    for least in (FILLED, MOSTLY_FILLED):
        for name in named:
            if table.filled(name) >= least and _is_own(table, name):
                return table.take("id", name, _but(table, name))
    table.reasons["columns",] = (
        "no column named like an id is filled and different in all rows: products are called by "
        'their rows; add id = "COLUMN" to keep ids when the file changes'
    )
    return None


def _is_own(table: Candidates, name: str) -> bool:
    """Whether most rows that have an id have one of their own; of few all but one."""
    cells = table.cells[name]
    all_but_one = len(cells) >= LEAST_IDS and len(set(cells)) == len(cells) - 1
    return all_but_one or table.distinct(name) >= MOSTLY_OWN


def _but(table: Candidates, name: str) -> str:
    """Why a column is the id, although some rows have none or one that stood before."""
    why = f"named so; {_values(table, name)}"
    if lacking := table.lacking(name):
        why += f"; {lacking} rows have none, and are rejected"
    if table.distinct(name) < NEARLY_ALL:
        why += (
            "; a row whose id stood before is rejected; if such rows are variants, make this the "
            "group"
        )
    return why


def _group(table: Candidates) -> Source | None:
    for name in table.named("group"):
        return table.take("group", name, "named so; rows that share it are variants of one")
    for name in table.named("id"):
        if bare_name(name) in _PRODUCT_IDS and table.filled(name) >= FILLED:
            why = f"named like an id and repeated ({_values(table, name)}): rows are its variants"
            return table.take("group", name, why)
    return None


def _category(table: Candidates) -> Source:
    named = table.named("category")
    for name in named:
        if table.filled(name) >= FILLED and (
            table.distinct(name) < REPEATED or table.rows < FEW_ROWS
        ):
            return table.take("category", name, f"named so; {_values(table, name)}")
    words = {bare_name(word) for word in ROLES["category"]}
    levels = _levels(table, words | {f"{word}level" for word in words})
    if levels:
        return table.take("category", tuple(levels), "numbered levels of one path")
    if named:
        return table.take("category", named[0], f"named so; {_values(table, named[0])}")
    table.reasons["columns", "category"] = NO_CATEGORY
    return ONE_CATEGORY


def _values(table: Candidates, name: str) -> str:
    return f"{len(set(table.cells[name]))} different in {len(table.cells[name])} rows looked at"


def _levels(table: Candidates, words: set[str]) -> list[str]:
    found = []
    for name in table.left:
        numbered = _NUMBERED.fullmatch(name)
        if numbered and bare_name(numbered[1]) in words:
            found.append((int(numbered[2]), name))
    return [name for _, name in sorted(found)]


def _title(table: Candidates) -> Source | None:
    for name in table.named("title"):
        return table.take("title", name, "named so")
    lengths = {name: table.length(name) for name in table.left if _may_be_title(table, name)}
    likely = [name for name, length in lengths.items() if 10 <= length <= 200]
    if not likely:
        table.reasons["columns", "title"] = ""
        return None
    best = max(likely, key=table.distinct)
    why = f"no column is named so; of the short texts these differ most: {_values(table, best)}"
    return table.take("title", best, why)


def _may_be_title(table: Candidates, name: str) -> bool:
    """Whether a column has a text in nearly all rows, of few in all but one, and no links."""
    full = table.filled(name) >= FILLED or table.lacking(name) == 1 < len(table.cells[name])
    return full and not table.share(name, _URL)


def _description(table: Candidates) -> Source | None:
    for name in table.named("description"):
        return table.take("description", name, "named so")
    for name in table.left:
        if table.length(name) > 150 and not table.share(name, _URL):
            return table.take("description", name, "no column is named so; this has long texts")
    return None


def _images(table: Candidates) -> Source | None:
    named = table.named("images")[:1]
    words = {bare_name(word) for word in ROLES["images"]}
    numbered = _levels(table, words | {f"{word}url" for word in words} | {"additionalimage"})
    more = [n for n in table.left if table.share(n, _IMAGE) >= FILLED]
    found = list(dict.fromkeys([*named, *numbered, *more]))
    if not found:
        return None
    source: Source = found[0] if len(found) == 1 else tuple(found)
    return table.take("images", source, "named so" if named else "addresses of pictures")


def _requested(table: Candidates) -> Source | None:
    for name in table.named("requested"):
        return table.take("requested", name, "named so: the attributes to ask for")
    return None
