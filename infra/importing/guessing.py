"""A map for a table that no known program wrote: roles by the columns' names and their values.

Nothing is guessed silently: each guess has a reason, which stands above it in `map.toml`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from infra.importing.map import (
    AttributeColumn,
    Cells,
    ColumnRoles,
    FileForm,
    ImportMap,
    Pairs,
    Reasons,
    Skipped,
    Source,
    ValueRules,
)
from infra.importing.names import (
    IGNORED,
    ROLES,
    bare_name,
    readable,
    without_locale,
    without_prefix,
)
from infra.importing.surveying import Survey
from schemas.units import scale

ONE_CATEGORY = "=Products"
NO_CATEGORY = (
    "no column is named like a category: all products are of this one; name a column, or write "
    "another constant"
)
FILLED = 0.95
NEARLY_ALL = 0.98
MOSTLY_OWN = 0.7
LISTED = 0.5
REPEATED = 0.8
FEW_ROWS = 20
_IMAGE = re.compile(r"\S+\.(?:jpe?g|png|webp|gif|avif|tiff?)(?:[?#]\S*)?", re.IGNORECASE)
_PRODUCT_IDS = frozenset(map(bare_name, ROLES["id"][:14]))
_BARE_NUMBER = re.compile(r"\s*[+-]?[\d.,]*\d\s*$")
_URL = re.compile(r"(?:https?:)?//\S+")
_NUMBERED = re.compile(r"(.*?)[\s_.-]*(\d{1,2})$")
_UNIT_WORDS = ("unitofmeasure", "units", "unit", "einheit", "unite", "unidad", "unita", "uom", "me")
_HEADER_UNIT = re.compile(r"(?P<name>.+?)\s*[(\[](?:in\s+)?(?P<unit>[^()\[\]]{1,12})[)\]]$")
_NAME_WORDS = (
    "name", "names", "label", "key", "title", "attribute", "property", "feature", "option", "spec",
    "eigenschaft", "merkmal", "attribut", "nom", "caracteristique", "nombre", "atributo", "nome",
    "attributo", "naam", "kenmerk",
)  # fmt: skip
_VALUE_WORDS = ("values", "value", "wert", "werte", "valeur", "valor", "valore", "waarde", "val")


class _Guess:
    """One map in the making: each column is taken once."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.cells: dict[str, list[str]] = defaultdict(list)
        for row in survey.sample:
            for name, cell in row.cells.items():
                self.cells[name].append(cell)
        self.left = dict.fromkeys(survey.columns)
        self.reasons: Reasons = {}
        self.skipped: dict[str, str] = {}
        self.rows = len(survey.sample)

    def named(self, role: str) -> list[str]:
        """The columns left whose name is a word of the role, in the order of the words."""
        words = {bare_name(word): place for place, word in reversed(list(enumerate(ROLES[role])))}
        found = [(words[bare], name) for name in self.left if (bare := bare_name(name)) in words]
        if not found:
            found = [
                (words[bare], name)
                for name in self.left
                if (stem := without_locale(name)) and (bare := bare_name(stem[0])) in words
            ]
        return [name for _, name in sorted(found, key=lambda pair: pair[0])]

    def take(self, role: str, source: Source, why: str) -> Source:
        for name in [source] if isinstance(source, str) else source:
            self.left.pop(name, None)
        self.reasons["columns", role] = why
        return source

    def skip(self, names: Iterable[str], why: str) -> None:
        for name in list(names):
            if name in self.left:
                del self.left[name]
                self.skipped[name] = why

    def distinct(self, name: str) -> float:
        """The share of a column's filled cells that differ."""
        cells = self.cells[name]
        return len(set(cells)) / len(cells) if cells else 0.0

    def filled(self, name: str) -> float:
        return len(self.cells[name]) / self.rows if self.rows else 0.0

    def share(self, name: str, pattern: re.Pattern[str]) -> float:
        cells = self.cells[name]
        return sum(pattern.match(cell) is not None for cell in cells) / len(cells) if cells else 0.0


def guess(survey: Survey, form: FileForm) -> tuple[ImportMap, Reasons]:
    """A map for the table that `survey` looked at; values are not described yet."""
    guess = _Guess(survey)
    _one_language(guess)
    roles = {
        "id": _id(guess),
        "group": _group(guess),
        "category": _category(guess),
        "title": _title(guess),
        "description": _description(guess),
        "images": _images(guess),
        "requested": _requested(guess),
    }
    pairs = _pairs(guess)
    cells = _cells(guess)
    guess.skip((n for n in guess.left if bare_name(n) in IGNORED), "about selling, by its name")
    guess.skip((n for n in guess.left if guess.share(n, _URL) >= FILLED), "links")
    others = [n for n in guess.left if bare_name(n) in _PRODUCT_IDS]
    guess.skip(others, "another identifier, by its name")
    attributes, units = _attributes(guess)
    if guess.skipped:
        why = "; ".join(f"{name}: {why}" for name, why in guess.skipped.items())
        guess.reasons["skip", "columns"] = why
    return ImportMap(
        file=form,
        columns=ColumnRoles(**roles),
        attributes=attributes,
        pairs=pairs,
        cells=cells,
        values=ValueRules(default_units=units),
        skip=Skipped(columns=tuple(guess.skipped)),
    ), guess.reasons


def _one_language(guess: _Guess) -> None:
    """Of columns in several languages the language that most rows have; the others are skipped."""
    stems: dict[str, dict[str, str]] = defaultdict(dict)
    for name in guess.left:
        if (found := without_locale(name)) is not None:
            stems[found[0]][found[1]] = name
    several = {stem: by for stem, by in stems.items() if len(by) > 1}
    if not several:
        return
    filled: dict[str, int] = defaultdict(int)
    for by in several.values():
        for locale, name in by.items():
            filled[locale] += len(guess.cells[name])
    best = max(filled, key=lambda locale: filled[locale])
    for by in several.values():
        kept = best if best in by else next(iter(by))
        guess.skip(
            (name for locale, name in by.items() if locale != kept),
            f"in another language than {kept}, in which most rows are written",
        )


def _id(guess: _Guess) -> Source | None:
    for name in guess.named("id"):
        if guess.filled(name) >= FILLED and guess.distinct(name) >= NEARLY_ALL:
            return guess.take("id", name, f"named so and filled; {_values(guess, name)}")
    for name in guess.named("id"):
        if guess.filled(name) >= FILLED and guess.distinct(name) >= MOSTLY_OWN:
            why = (
                f"named so and filled, but {_values(guess, name)}: a row whose id stood before is "
                "rejected; if such rows are variants, make this the group"
            )
            return guess.take("id", name, why)
    guess.reasons["columns",] = (
        "no column named like an id is filled and different in all rows: products are called by "
        'their rows; add id = "COLUMN" to keep ids when the file changes'
    )
    return None


def _group(guess: _Guess) -> Source | None:
    for name in guess.named("group"):
        return guess.take("group", name, "named so; rows that share it are variants of one")
    for name in guess.named("id"):
        if bare_name(name) in _PRODUCT_IDS and guess.filled(name) >= FILLED:
            why = f"named like an id and repeated ({_values(guess, name)}): rows are its variants"
            return guess.take("group", name, why)
    return None


def _category(guess: _Guess) -> Source:
    named = guess.named("category")
    for name in named:
        if guess.filled(name) >= FILLED and (
            guess.distinct(name) < REPEATED or guess.rows < FEW_ROWS
        ):
            return guess.take("category", name, f"named so; {_values(guess, name)}")
    words = {bare_name(word) for word in ROLES["category"]}
    levels = _levels(guess, words | {f"{word}level" for word in words})
    if levels:
        return guess.take("category", tuple(levels), "numbered levels of one path")
    if named:
        return guess.take("category", named[0], f"named so; {_values(guess, named[0])}")
    guess.reasons["columns", "category"] = NO_CATEGORY
    return ONE_CATEGORY


def _values(guess: _Guess, name: str) -> str:
    return f"{len(set(guess.cells[name]))} different in {len(guess.cells[name])} rows looked at"


def _levels(guess: _Guess, words: set[str]) -> list[str]:
    found = []
    for name in guess.left:
        numbered = _NUMBERED.fullmatch(name)
        if numbered and bare_name(numbered[1]) in words:
            found.append((int(numbered[2]), name))
    return [name for _, name in sorted(found)]


def _title(guess: _Guess) -> Source | None:
    for name in guess.named("title"):
        return guess.take("title", name, "named so")
    lengths = {
        name: sum(map(len, cells)) / len(cells)
        for name, cells in guess.cells.items()
        if name in guess.left and guess.filled(name) >= FILLED and not guess.share(name, _URL)
    }
    likely = [name for name, length in lengths.items() if 10 <= length <= 200]
    if not likely:
        guess.reasons["columns", "title"] = ""
        return None
    best = max(likely, key=guess.distinct)
    why = f"no column is named so; of the short texts these differ most: {_values(guess, best)}"
    return guess.take("title", best, why)


def _description(guess: _Guess) -> Source | None:
    for name in guess.named("description"):
        return guess.take("description", name, "named so")
    for name in guess.left:
        cells = guess.cells[name]
        if cells and sum(map(len, cells)) / len(cells) > 150 and not guess.share(name, _URL):
            return guess.take("description", name, "no column is named so; this has long texts")
    return None


def _images(guess: _Guess) -> Source | None:
    named = guess.named("images")[:1]
    words = {bare_name(word) for word in ROLES["images"]}
    numbered = _levels(guess, words | {f"{word}url" for word in words} | {"additionalimage"})
    more = [n for n in guess.left if guess.share(n, _IMAGE) >= FILLED]
    found = list(dict.fromkeys([*named, *numbered, *more]))
    if not found:
        return None
    source: Source = found[0] if len(found) == 1 else tuple(found)
    return guess.take("images", source, "named so" if named else "addresses of pictures")


def _requested(guess: _Guess) -> Source | None:
    for name in guess.named("requested"):
        return guess.take("requested", name, "named so: the attributes to ask for")
    return None


def _pairs(guess: _Guess) -> tuple[Pairs, ...]:
    """Numbered columns, some with names and some with values."""
    templates: dict[str, set[str]] = defaultdict(set)
    for name in guess.left:
        for found in re.finditer(r"\d+", name):
            templates[f"{name[: found.start()]}{{n}}{name[found.end() :]}"].add(found[0])
    cores = {template: bare_name(template.replace("{n}", "")) for template in templates}
    for value, core in cores.items():
        word = next((w for w in _VALUE_WORDS if w in core), None)
        if word is None:
            continue
        rest = core.replace(word, "", 1)
        for name, other in cores.items():
            names = {other} | {other.replace(w, "", 1) for w in _NAME_WORDS if w in other}
            if name == value or rest not in names or not any(w in other for w in _NAME_WORDS):
                continue
            unit = next(
                (u for u, c in cores.items() if u not in (name, value)
                 and any(c.replace(w, "", 1) == rest for w in _UNIT_WORDS if w in c)), "",
            )  # fmt: skip
            for pattern in (name, value, unit):
                for number in templates.get(pattern, ()):
                    guess.left.pop(pattern.replace("{n}", number), None)
            guess.reasons["pairs",] = "numbered columns of names and of values"
            return (Pairs(name_column=name, value_column=value, unit_column=unit),)
    return ()


def _cells(guess: _Guess) -> tuple[Cells, ...]:
    """Columns of which nearly all cells are lists of `name=value`."""
    found = []
    for name in [name for name in guess.left if guess.filled(name) >= LISTED]:
        best = max(
            ((_items(guess.cells[name], s, e), s, e) for s in ",;|\n" for e in "=:"),
            key=lambda scored: scored[0],
        )
        if best[0] > 0:
            del guess.left[name]
            found.append(Cells(columns=(name,), item_separator=best[1], equals=best[2]))
            guess.reasons["cells",] = "nearly all cells are lists of a name and a value"
    return tuple(found)


def _items(cells: Sequence[str], separator: str, equals: str) -> int:
    """How many items the cells have, if nearly all of these are a name and a value; else 0."""
    names: list[str] = []
    items = lists = 0
    for cell in cells:
        parts = [part for part in cell.split(separator) if part.strip()]
        lists += len(parts) > 1
        items += len(parts)
        for part in parts:
            name, found, value = part.partition(equals)
            if found and value.strip() and 0 < len(name.strip()) <= 40 and "//" not in value[:2]:
                names.append(name.strip())
    recurring = len(set(names)) <= max(1, 0.5 * len(names)) or len(names) < 10
    return items if lists > 1 and len(names) >= 0.9 * items and recurring else 0


def _attributes(guess: _Guess) -> tuple[dict[str, AttributeColumn], dict[str, str]]:
    """The columns that are left, with units from a second column or from the header."""
    attributes: dict[str, AttributeColumn] = {}
    units: dict[str, str] = {}
    unit_of = _unit_columns(guess)
    for column in guess.left:
        if column in unit_of.values():
            continue
        localised = without_locale(column)
        stem = localised[0] if localised and _is_kept(guess, column) else column
        header = _HEADER_UNIT.fullmatch(stem)
        unit = header["unit"] if header is not None and _is_amount(guess, column) else None
        if unit is None or header is None or scale(unit) is None or unit_of.get(column):
            names = [stem]
        else:
            names = [header["name"], stem]
        pretty = [readable(name) for name in names]
        # Two columns may differ in what is made pretty only.
        name = next(n for n in (*pretty, without_prefix(stem), column) if n not in attributes)
        if unit and name == pretty[0] and len(names) > 1:
            units[name] = unit
        locale = localised[1] if localised and name != column and "-" in localised[1] else None
        attributes[name] = AttributeColumn(
            column=column, unit_column=unit_of.get(column), locale=locale
        )
    return attributes, units


def _is_amount(guess: _Guess, column: str) -> bool:
    """Whether the cells are numbers without a unit: `Color(s)` is not in seconds."""
    return guess.share(column, _BARE_NUMBER) >= REPEATED


def _is_kept(guess: _Guess, column: str) -> bool:
    """Whether `column` is the one language that was kept of several."""
    stem = (without_locale(column) or ("", ""))[0]
    return any((without_locale(name) or (None,))[0] == stem for name in guess.skipped)


def _unit_columns(guess: _Guess) -> dict[str, str]:
    """Column of amounts to the column of their units."""
    by_name = {bare_name(name): name for name in guess.left}
    found: dict[str, str] = {}
    for bare, name in by_name.items():
        for word in _UNIT_WORDS:
            stem = bare.removesuffix(word) if bare.endswith(word) else bare.removeprefix(word)
            if stem != bare and stem in by_name and by_name[stem] != name:
                found.setdefault(by_name[stem], name)
                break
    return found
