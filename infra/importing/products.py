"""Rows to the products of a catalog, by a map; what is wrong with one is said and left out.

A row without an id, without a category, with neither a title nor a picture, or with an id that
stood before, is no product. A value that cannot be read is left out of its product. Both are
`Rejected`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

from infra.importing.attributes import AttributeValues, Cells, source_reader
from infra.importing.map import ImportMap
from infra.importing.reading import Row
from infra.importing.records import ITEM
from infra.importing.rejected import LONGEST_SHOWN, Rejected
from infra.importing.seen import Seen
from infra.importing.values import spoiled, tidy
from schemas.category import DEFAULT_PLACEHOLDERS
from schemas.texts import HALF_CHARACTER, comparable, is_cut

PATH = " > "
KEPT_CATEGORIES = 10_000
MOST_KINDS = 1_000
Entry = dict[str, Any]
_INHERITED = ("title", "category", "description", "images")
_URLS = re.compile(r"[|,;\s]+(?=https?://)")
_ARROW = re.compile(r"\s*(?:>+|»|›|→)\s*")


_EMPTY = "is empty; fill the column, or name another in the map"
_BLANKS = frozenset(map(comparable, DEFAULT_PLACEHOLDERS))


class RowFault(ValueError):
    """Why a row is no product: the field, its text, and the reason."""

    def __init__(self, field: str, reason: str, value: str | None = None) -> None:
        super().__init__(reason)
        self.field, self.reason, self.value = field, reason, value


Kind = TypeVar("Kind")


def count_kind(counts: Counter[Kind], kind: Kind, others: Kind) -> Kind:
    """Count `kind`, or `others` where there are too many kinds already; what was counted."""
    counted = kind if kind in counts or len(counts) < MOST_KINDS else others
    counts[counted] += 1
    return counted


def stands_for_nothing(text: str) -> bool:
    """Whether an id or a category is empty, or what people write where they have none."""
    return not text or (len(text) < 30 and comparable(text) in _BLANKS)


class ProductMaker:
    """Makes products of rows, in the order of the file.

    `hints` counts what was mended, in words.
    """

    def __init__(self, import_map: ImportMap, columns: Sequence[str], seen: Seen) -> None:
        self._map = import_map
        self._seen = seen
        self._values = AttributeValues(import_map, columns)
        self._sources = {
            name: source_reader(getattr(import_map.columns, name), JOINS[name]) for name in JOINS
        }
        self._grouped = import_map.columns.group is not None
        self._meant = {comparable(w): meant for w, meant in import_map.categories.items()}
        self._known: dict[str, tuple[str, str]] = {}
        self._told: str | None = None  # the group that came last: variants stand together
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
        if stands_for_nothing(identity):
            raise RowFault("product_id", _EMPTY, identity or None)
        return identity

    def _entry(self, identity: str, cells: Cells) -> Entry:
        """The product's own fields; a variant has from its parent what it does not say itself."""
        entry: Entry = {"product_id": identity}
        entry["title"] = self._text("title", cells)
        entry["description"] = self._text("description", cells)
        category = self._category(self._sources["category"](cells))
        entry["category"] = "" if stands_for_nothing(category) else category
        entry["images"] = self._images(self._sources["images"](cells))
        if self._grouped:
            self._join_family(entry, self._text("group", cells) or identity)
        if not entry["category"]:
            raise RowFault("category", _EMPTY, category or None)
        if not entry["title"] and not entry["images"]:
            raise RowFault(
                "title", "is empty; fill the column, name another in the map, or give a picture"
            )
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
        if group != self._told:
            self._seen.remember(group, {name: entry[name] for name in _INHERITED})
            self._told = group

    def _text(self, role: str, cells: Cells, field: str = "") -> str:
        text = self._sources[role](cells)
        if is_cut(text):
            shown = text.encode("utf-8", "replace").decode()[:LONGEST_SHOWN]
            raise RowFault(field or role, HALF_CHARACTER, shown)
        text = tidy(text, self._map.values.strip_html)
        if (reason := spoiled(text)) is not None:
            raise RowFault(field or role, reason, text)
        return text

    def _category(self, cell: str) -> str:
        known = self._known.get(cell)
        if known is None:
            known = self._spelled(cell)
            if len(self._known) >= KEPT_CATEGORIES:
                self._known.clear()
            self._known[cell] = known
        first, meant = known
        if first != meant:
            said = f"categories are written in several ways: {meant!r} is taken for {first!r}"
            count_kind(self.hints, said, "more categories are written in several ways")
        return first

    def _spelled(self, cell: str) -> tuple[str, str]:
        """The category as it was spelled when it came first, and as this cell spells it."""
        if is_cut(cell):
            raise RowFault("category", HALF_CHARACTER)
        rules = self._map.values
        items = [tidy(item, rules.strip_html) for item in cell.split(ITEM)]
        # A list in JSON is of paths, or else of the levels of one.
        of_paths = any(map(_ARROW.search, items))
        written = (
            max(items, key=lambda item: len(_ARROW.split(item))) if of_paths else PATH.join(items)
        )
        if (reason := spoiled(written)) is not None:
            raise RowFault("category", reason, written)
        path = deepest(written, rules.category_list_separator, rules.category_path_separator)
        meant = self._meant.get(comparable(written), self._meant.get(comparable(path), path))
        if not meant:
            return "", ""
        return self._seen.spelling(comparable(meant), meant), meant

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


def _in_order(entry: Entry) -> Entry:
    """The fields as a catalog has them; those that are empty are left out."""
    names = ("product_id", "category", "title", "description", "images", "catalog", "requested")
    kept = {name: entry[name] for name in names if entry.get(name) or name == "catalog"}
    return kept | ({"cluster": entry["cluster"]} if entry.get("cluster") else {})
