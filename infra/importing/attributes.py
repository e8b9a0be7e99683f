"""The attributes of a row, by a map: from their own columns, from pairs of columns and from cells
that hold several.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from infra.importing.map import AttributeColumn, ImportMap, Pairs, Source
from infra.importing.map import Cells as CellsOfSeveral
from infra.importing.records import ITEM
from infra.importing.values import Fault, ValueReader, tidy
from schemas.texts import comparable

# Most attributes have the same few cells again and again. A cell that is kept takes some 0.5 kB.
KEPT_CELLS = 50_000
LONGEST_KEPT = 100
KEPT_NAMES = 5_000
Cells = Mapping[str, str]
Read = tuple[list[str], list[Fault]]


def source_reader(source: Source | None, joint: str) -> Callable[[Cells], str]:
    """Reads a column, several, or a constant."""
    if source is None or source == ():
        return lambda cells: ""
    if isinstance(source, str):
        if source.startswith("="):
            constant = source[1:]
            return lambda cells: constant
        name = source
        return lambda cells: cells.get(name, "")
    parts = [source_reader(one, joint) for one in source]
    return lambda cells: joint.join(text for part in parts if (text := part(cells)))


class AttributeValues:
    """The attributes of a row: from their own columns, from pairs and from cells of several."""

    def __init__(self, import_map: ImportMap, columns: Sequence[str]) -> None:
        self._map = import_map
        self._aliases = {comparable(w): meant for w, meant in import_map.aliases.items()}
        self._readers: dict[tuple[str, str | None], ValueReader] = {}
        self._names: dict[str, str] = {}
        self._known: dict[tuple[ValueReader, str, str], Read] = {}
        self._columns = [
            (name, source_reader(spec.column, ITEM), spec.unit_column, self._reader(name, None))
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
            _make_room(self._names, KEPT_NAMES)
            meant = self._names[written] = self._aliases.get(comparable(written), written)
        return meant

    def read(self, cells: Cells) -> tuple[dict[str, list[str]], list[tuple[str, Fault]]]:
        """Attribute to values, and the attributes and faults of those that are left out."""
        values: dict[str, list[str]] = {}
        rejected: list[tuple[str, Fault]] = []
        for name, cell, unit, reader in self.given(cells):
            key = (reader, cell, unit)
            found, faults = self._known.get(key) or self._read(key)
            meant = self.name(name)
            if found and meant in values:
                own = values[meant]
                own.extend([value for value in found if value not in own])
            elif found:
                values[meant] = list(found)
            for fault in faults:
                rejected.append((meant, fault))
        return values, rejected

    def _read(self, key: tuple[ValueReader, str, str]) -> Read:
        reader, cell, unit = key
        read = reader.read(cell, unit)
        if len(cell) <= LONGEST_KEPT:
            _make_room(self._known, KEPT_CELLS)
            self._known[key] = read
        return read

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
            _make_room(self._readers, KEPT_NAMES)
            spec = self._map.attributes.get(name) or AttributeColumn(column=())
            if spec.list_separator is None and separator is not None:
                spec = spec.model_copy(update={"list_separator": separator})
            unit = self._map.values.default_units.get(name, "")
            reader = self._readers[name, separator] = ValueReader(spec, self._map.values, unit)
        return reader


def _make_room(kept: dict[Any, Any], most: int) -> None:
    """Forget all where there are `most`: cheaper than to know which are the oldest."""
    if len(kept) >= most:
        kept.clear()


def pair_columns(pairs: Pairs, known: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """The name, value and unit columns of `pairs` that there are, by number."""
    head, numbered, tail = pairs.name_column.partition("{n}")
    if not numbered:
        numbers = [""] if pairs.name_column in known else []
    else:
        found = (re.fullmatch(rf"{re.escape(head)}(\d+){re.escape(tail)}", name) for name in known)
        numbers = sorted((match[1] for match in found if match), key=lambda n: (int(n), n))
    for number in numbers:
        columns = (pairs.name_column, pairs.value_column, pairs.unit_column)
        name, value, unit = (column.replace("{n}", number) for column in columns)
        if value in known:
            yield name, value, unit


def cell_splitter(cells: CellsOfSeveral) -> Callable[[str], list[str]]:
    """Splits a cell where an item begins: a separator inside of a value parts nothing."""
    equals, separator = re.escape(cells.equals), re.escape(cells.item_separator)
    if not cells.item_separator:
        return lambda cell: [cell]
    begin = re.compile(
        rf"(?:{separator}|{ITEM})\s*(?=[^{separator}{equals}{ITEM}]{{1,100}}{equals})"
    )
    return lambda cell: begin.split(cell)


def attribute_cells(
    import_map: ImportMap, columns: Sequence[str]
) -> Callable[[Cells], Iterator[tuple[str, str, str]]]:
    """What gives a row's attributes as (name, cell, unit), before any value is read."""
    values = AttributeValues(import_map, columns)
    return lambda cells: ((name, cell, unit) for name, cell, unit, _ in values.given(cells))
