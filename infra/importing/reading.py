"""A file as a table of texts: columns, and rows with the line at which they stand.

A `Table` can be gone through any number of times, each time from the disk, in memory that does not
grow with the file. CSV is read by `infra.importing.delimited`, JSON and Parquet by
`infra.importing.records`, Excel by openpyxl (DuckDB's extension reads dates as numbers), feeds by
their format's `flatten`. All cells are texts; an empty one is left out of its row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from infra.importing import delimited, excel, records
from infra.importing.errors import ImportFault
from infra.importing.map import FileForm

Flatten = Callable[[Path], Iterator[dict[str, str]]]
"""The rows of a file that is no table."""


class Row(NamedTuple):
    """A row: its line in the file (of a CSV the one at which it ends), its cells, its fault."""

    line: int
    cells: dict[str, str]
    fault: str | None = None


Rows = Callable[[], Iterator[Row]]
"""All rows of a file, from the first, each time that it is called."""
Prepare = Callable[[Rows], Iterator[Row]]


@dataclass(frozen=True)
class Table:
    """One file and how it is read."""

    path: Path
    form: FileForm
    flatten: Flatten | None = None
    prepare: Prepare | None = None

    def rows(self) -> Iterator[Row]:
        """The rows, in the order of the file, as the export's format makes them.

        Raises:
            ImportFault: the file cannot be read on; says where.
        """
        with delimited.readable(self.path):
            yield from self.prepare(self.raw) if self.prepare is not None else self.raw()

    def raw(self) -> Iterator[Row]:
        """The rows as they stand in the file.

        Raises:
            ImportFault: the file cannot be read on; says where.
        """
        if self.flatten is not None:
            return _numbered(self.flatten(self.path))
        match self.form.format:
            case "csv" | "excel" if self.form.json_columns:
                columns = self.form.json_columns
                rows = _under_header(self)
                return (row._replace(cells=records.expanded(row.cells, columns)) for row in rows)
            case "csv" | "excel":
                return _under_header(self)
            case "parquet":
                return _numbered(records.parquet_rows(self.path))
            case "json":
                return _or_faults(records.json_rows(self.path, self.form.encoding))
            case "jsonl":
                return _or_faults(records.jsonl_rows(self.path, self.form.encoding))
            case other:
                raise ImportFault(f"{self.path}: a {other} needs [file] export to say of what")


def header(table: Table) -> tuple[str, ...]:
    """The names of the columns of a CSV or a sheet, all different."""
    number = 0
    for number, (_, cells) in enumerate(raw_rows_of(table), 1):
        if number == table.form.header_row:
            return _distinct(cells)
    if not number:
        raise ImportFault(f"{table.path}: has no rows; give a file with products")
    raise ImportFault(
        f"{table.path}: has no row {table.form.header_row}; give a file with a header"
    )


def raw_rows_of(table: Table) -> Iterator[delimited.RawRow]:
    """The rows of a CSV or a sheet as they stand, header and all."""
    if table.form.format == "csv":
        return delimited.raw_rows(table.path, table.form)
    return excel.raw_rows(table.path, table.form)


def _under_header(table: Table) -> Iterator[Row]:
    names: tuple[str, ...] = ()
    head: list[str] = []
    for number, (line, cells) in enumerate(raw_rows_of(table), 1):
        if number < table.form.header_row:
            continue
        if number == table.form.header_row:
            names, head = _distinct(cells), cells
        elif cells == head:
            yield Row(line, {}, "is the header once more; leave it out")
        elif len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
            yield Row(line, {}, f"has {len(cells)} cells, the header {len(names)}; quote the texts")
        else:
            filled = {n: c for n, c in zip(names, cells, strict=False) if c and not c.isspace()}
            if filled:
                yield Row(line, filled)


def _distinct(cells: Sequence[str]) -> tuple[str, ...]:
    """Names for all columns: a second `image` is `image (2)`, one without a name `column 7`."""
    seen: dict[str, int] = {}
    names = []
    for number, cell in enumerate(cells, 1):
        name = records.column_name(cell) or f"column {number}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(names)


def _numbered(cells: Iterator[dict[str, str]]) -> Iterator[Row]:
    return (Row(number, row) for number, row in enumerate(cells, 1))


def _or_faults(rows: Iterator[tuple[int, dict[str, str] | str]]) -> Iterator[Row]:
    for line, found in rows:
        yield Row(line, {}, found) if isinstance(found, str) else Row(line, found)
