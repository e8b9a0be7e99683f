"""Rows to the products of a catalog, by a map; what is wrong with one is said and left out.

A row without an id, a title or a category, or with an id that stood before, is no product. A value
that cannot be read is left out of its product. Both are `Rejected`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from infra.importing.map import AttributeColumn, ImportMap, Source
from infra.importing.reading import Row
from infra.importing.records import ITEM
from infra.importing.seen import Seen
from infra.importing.values import LONGEST_SHOWN, ValueReader, tidy
from schemas.texts import HALF_CHARACTER, comparable, is_cut

PATH = " > "
KEPT_CATEGORIES = 50_000
Cells = Mapping[str, str]
Entry = dict[str, Any]
_INHERITED = ("title", "category", "description", "images")
_URLS = re.compile(r"[|,;\s]+(?=https?://)")
_ARROW = re.compile(r"\s*(?:>+|»|›|→)\s*")


@dataclass(frozen=True)
class Rejected:
    """A row or a value that was left out; `attribute` None means the whole row."""

    file: str
    line: int
    product_id: str | None
    attribute: str | None
    value: str | None
    reason: str

    def entry(self) -> Entry:
        """As it is written to `…rejected.jsonl`."""
        return asdict(self)


class RowFault(ValueError):
    """Why a row is no product: the field, its text, and the reason."""

    def __init__(self, field: str, reason: str, value: str | None = None) -> None:
        super().__init__(reason)
        self.field, self.reason, self.value = field, reason, value


class ProductMaker:
    """Makes products of rows, in the order of the file.

    `hints` counts what was mended, in words.
    """

    def __init__(self, import_map: ImportMap, columns: Sequence[str], seen: Seen) -> None:
        self._map = import_map
        self._seen = seen
        self._values = _AttributeValues(import_map, columns)
        self._sources = {
            name: _source(getattr(import_map.columns, name), JOINS[name]) for name in JOINS
        }
        self._grouped = import_map.columns.group is not None
        self._meant = {comparable(w): meant for w, meant in import_map.categories.items()}
        self._spelling: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._rows = 0
        self.hints: Counter[str] = Counter()

    def make(self, file: str, row: Row) -> tuple[Entry | None, list[Rejected]]:
        """The product that `row` is, if it is one, and what was left out."""
        self._rows += 1
        identity: str | None = None
        try:
            if row.fault is not None:
                raise RowFault("", row.fault)
            identity = self._identity(row.cells)
            entry = self._entry(identity, row.cells)
            before = self._seen.first(identity, f"{file}, line {row.line}")
            if before is not None:
                raise RowFault("product_id", f"stands in {before} already; ids are for one product")
        except RowFault as fault:
            what = f"{fault.field}: {fault.reason}" if fault.field else fault.reason
            return None, [Rejected(file, row.line, identity, None, fault.value, what)]
        values, faults = self._values.read(row.cells)
        entry["catalog"] = values
        rejected = [
            Rejected(file, row.line, identity, name, fault.value, fault.reason)
            for name, fault in faults
        ]
        return _in_order(entry), rejected

    def _identity(self, cells: Cells) -> str:
        if self._map.columns.id is None:
            return f"row-{self._rows}"
        identity = self._text("id", cells, "product_id")
        if not identity:
            raise RowFault("product_id", "is empty; fill the column, or name another in the map")
        return identity

    def _entry(self, identity: str, cells: Cells) -> Entry:
        """The product's own fields; a variant has from its parent what it does not say itself."""
        entry: Entry = {"product_id": identity}
        entry["title"] = self._text("title", cells)
        entry["description"] = self._text("description", cells)
        entry["category"] = self._category(self._sources["category"](cells))
        entry["images"] = self._images(self._sources["images"](cells))
        if self._grouped:
            self._join_family(entry, self._text("group", cells) or identity)
        for name in ("title", "category"):
            if not entry[name]:
                raise RowFault(name, "is empty; fill the column, or name another in the map")
        requested = self._sources["requested"](cells)
        if requested:
            own = self._map.values.list_separator
            parts = re.split("[|" + ITEM + re.escape(own) + "]", requested)
            names = [self._values.name(tidy(part)) for part in parts if part.strip()]
            entry["requested"] = list(dict.fromkeys(names))
        return entry

    def _join_family(self, entry: Entry, group: str) -> None:
        entry["cluster"] = group
        if not all(entry[name] for name in _INHERITED):
            parent = self._seen.parent(group)
            for name in _INHERITED:
                entry[name] = entry[name] or parent.get(name) or entry[name]
        self._seen.remember(group, {name: entry[name] for name in _INHERITED})

    def _text(self, role: str, cells: Cells, field: str = "") -> str:
        text = self._sources[role](cells)
        if is_cut(text):
            shown = text.encode("utf-8", "replace").decode()[:LONGEST_SHOWN]
            raise RowFault(field or role, HALF_CHARACTER, shown)
        return tidy(text, self._map.values.strip_html)

    def _category(self, cell: str) -> str:
        known = self._known.get(cell)
        if known is None:
            if len(self._known) >= KEPT_CATEGORIES:
                self._known.clear()
            known = self._known[cell] = self._spelled(cell)
        return known

    def _spelled(self, cell: str) -> str:
        if is_cut(cell):
            raise RowFault("category", HALF_CHARACTER)
        rules = self._map.values
        items = [tidy(item, rules.strip_html) for item in cell.split(ITEM)]
        # A list in JSON is of paths, or else of the levels of one.
        of_paths = any(map(_ARROW.search, items))
        written = (
            max(items, key=lambda item: len(_ARROW.split(item))) if of_paths else PATH.join(items)
        )
        path = deepest(written, rules.category_list_separator, rules.category_path_separator)
        meant = self._meant.get(comparable(written), self._meant.get(comparable(path), path))
        if not meant:
            return ""
        first = self._spelling.setdefault(comparable(meant), meant)
        if first != meant:
            self.hints[
                f"categories are written in several ways: {meant!r} is taken for {first!r}"
            ] += 1
        return first

    def _images(self, cell: str) -> list[str]:
        if not cell:
            return []
        separator = self._map.values.image_separator
        if separator:
            cell = cell.replace(separator, ITEM)
        parts = (tidy(part, False) for part in _URLS.sub(ITEM, cell).split(ITEM))
        return list(dict.fromkeys(part for part in parts if part and not is_cut(part)))


JOINS = {
    "id": "-",
    "group": "-",
    "category": PATH,
    "title": " ",
    "description": "\n",
    "images": ITEM,
    "requested": ITEM,
}
"""The roles, and what stands between several columns of one."""


def deepest(written: str, list_separator: str, path_separator: str) -> str:
    """Of several category paths the longest, the first of these; its parts parted by ` > `."""
    paths = written.split(list_separator) if list_separator else [written]
    mark = re.compile(rf"\s*{re.escape(path_separator)}\s*") if path_separator else _ARROW
    parted: list[list[str]] = [
        [part.strip() for part in mark.split(path) if part.strip()] for path in paths
    ]
    longest: list[str] = max(parted, key=len)
    return PATH.join(longest)


def _source(source: Source | None, joint: str) -> Callable[[Cells], str]:
    """Reads a column, several, or a constant."""
    if source is None or source == ():
        return lambda cells: ""
    if isinstance(source, str):
        if source.startswith("="):
            constant = source[1:]
            return lambda cells: constant
        name = source
        return lambda cells: cells.get(name, "")
    parts = [_source(one, joint) for one in source]
    return lambda cells: joint.join(text for part in parts if (text := part(cells)))


class _AttributeValues:
    """The attributes of a row: from their own columns, from pairs and from cells of several."""

    def __init__(self, import_map: ImportMap, columns: Sequence[str]) -> None:
        self._map = import_map
        self._aliases = {comparable(w): meant for w, meant in import_map.aliases.items()}
        self._readers: dict[tuple[str, str | None], ValueReader] = {}
        self._names: dict[str, str] = {}
        self._columns = [
            (name, _source(spec.column, ITEM), spec.unit_column, self._reader(name, None))
            for name, spec in import_map.attributes.items()
            if spec.column
        ]
        known = frozenset(columns)
        self._pairs = [
            (name, value, unit, pairs.list_separator)
            for pairs in import_map.pairs
            for name, value, unit in pair_columns(pairs, known)
        ]
        self._cells = [
            (column, cell_splitter(cells), cells.equals, cells.list_separator)
            for cells in import_map.cells
            for column in cells.columns
        ]

    def name(self, written: str) -> str:
        """The attribute that is meant."""
        meant = self._names.get(written)
        if meant is None:
            meant = self._names[written] = self._aliases.get(comparable(written), written)
        return meant

    def read(self, cells: Cells) -> tuple[dict[str, list[str]], list[tuple[str, Any]]]:
        """Attribute to values, and the attributes and faults of those that are left out."""
        values: dict[str, list[str]] = {}
        rejected: list[tuple[str, Any]] = []
        for name, cell, unit, reader in self.given(cells):
            found, faults = reader.read(cell, unit)
            meant = self.name(name)
            if found:
                own = values.setdefault(meant, [])
                own.extend(value for value in found if value not in own)
            rejected.extend((meant, fault) for fault in faults)
        return values, rejected

    def given(self, cells: Cells) -> Iterator[tuple[str, str, str, ValueReader]]:
        for name, source, unit_column, reader in self._columns:
            if cell := source(cells):
                unit = tidy(cells.get(unit_column, "")) if unit_column else ""
                yield name, cell, unit, reader
        for name_column, value_column, units, separator in self._pairs:
            cell, name = cells.get(value_column, ""), tidy(cells.get(name_column, ""))
            if cell and name:
                yield name, cell, tidy(cells.get(units, "")), self._reader(name, separator)
        for column, split, equals, separator in self._cells:
            for item in split(cells.get(column, "")):
                written, found, cell = item.partition(equals)
                if found and cell.strip() and (name := tidy(written)):
                    yield name, cell, "", self._reader(name, separator)

    def _reader(self, name: str, separator: str | None) -> ValueReader:
        reader = self._readers.get((name, separator))
        if reader is None:
            spec = self._map.attributes.get(name) or AttributeColumn(column=())
            if spec.list_separator is None and separator is not None:
                spec = spec.model_copy(update={"list_separator": separator})
            unit = self._map.values.default_units.get(name, "")
            reader = self._readers[name, separator] = ValueReader(spec, self._map.values, unit)
        return reader


def pair_columns(pairs: Any, known: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """The name, value and unit columns of `pairs` that there are, by number."""
    head, numbered, tail = pairs.name_column.partition("{n}")
    if not numbered:
        numbers = [""] if pairs.name_column in known else []
    else:
        found = (re.fullmatch(rf"{re.escape(head)}(\d+){re.escape(tail)}", name) for name in known)
        numbers = sorted((match[1] for match in found if match), key=int)
    for number in numbers:
        columns = (pairs.name_column, pairs.value_column, pairs.unit_column)
        name, value, unit = (column.replace("{n}", number) for column in columns)
        if value in known:
            yield name, value, unit


def cell_splitter(cells: Any) -> Callable[[str], list[str]]:
    """Splits a cell where an item begins: a separator inside of a value parts nothing."""
    equals, separator = re.escape(cells.equals), re.escape(cells.item_separator)
    if not cells.item_separator:
        return lambda cell: [cell]
    begin = re.compile(
        rf"(?:{separator}|{ITEM})\s*(?=[^{separator}{equals}{ITEM}]{{1,100}}{equals})"
    )
    return lambda cell: begin.split(cell)


def _in_order(entry: Entry) -> Entry:
    """The fields as a catalog has them; those that are empty are left out."""
    names = ("product_id", "category", "title", "description", "images", "catalog", "requested")
    kept = {name: entry[name] for name in names if entry.get(name) or name == "catalog"}
    return kept | ({"cluster": entry["cluster"]} if entry.get("cluster") else {})


def attribute_cells(
    import_map: ImportMap, columns: Sequence[str]
) -> Callable[[Cells], Iterator[tuple[str, str, str]]]:
    """What gives a row's attributes as (name, cell, unit), before any value is read."""
    values = _AttributeValues(import_map, columns)
    return lambda cells: ((name, cell, unit) for name, cell, unit, _ in values.given(cells))
