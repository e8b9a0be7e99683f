"""A look at all rows of some tables: their columns, how many rows there are, and some of these.

Of a large file the first rows and some of all the others say what its columns are. What is kept is
limited by its size, too, so that neither wide tables nor long cells take more memory.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from infra.importing.errors import ImportFault
from infra.importing.reading import Row, Table, header

SAMPLED_FIRST = 2_000
SAMPLED_LATER = 50
SAMPLED_AT_MOST = 20_000
SAMPLED_BYTES = 64 << 20
CELL_BYTES = 100
"""What Python takes for a cell beside its characters, about."""
_TOLD_EVERY = 1_000


@dataclass(frozen=True)
class Survey:
    """What a look at whole tables found: columns in order, how many rows, and some of them."""

    columns: tuple[str, ...]
    count: int
    sample: tuple[Row, ...] = field(repr=False)


def survey(tables: Sequence[Table], told: Callable[[int], None] = lambda rows: None) -> Survey:
    """Go through all rows of `tables` once; each has the same share of the sample."""
    columns: dict[str, None] = {}
    sample: list[Row] = []
    count = 0
    for table in tables:
        own: dict[str, None] = {}
        most, room = SAMPLED_AT_MOST // len(tables), SAMPLED_BYTES // len(tables)
        for number, row in enumerate(table.rows()):
            if not row.cells.keys() <= own.keys():
                own.update(dict.fromkeys(row.cells))
            if number < SAMPLED_FIRST or number % SAMPLED_LATER == 0:
                size = sum(map(len, row.cells.values())) + CELL_BYTES * len(row.cells)
                if most and size <= room and row.fault is None:
                    sample.append(row)
                    most, room = most - 1, room - size
            count += 1
            if count % _TOLD_EVERY == 0:
                told(count)
        if columns and own and columns.keys().isdisjoint(own):
            raise ImportFault(
                f"{table.path}: has none of the columns of {tables[0].path}; give files of one "
                "kind together, and import the others apart"
            )
        columns.update(dict.fromkeys(_in_order(table, own)))
    return Survey(tuple(columns), count, tuple(sample))


def _in_order(table: Table, found: dict[str, None]) -> Iterator[str]:
    """Those of the header that no row fills stay away: nothing can be said of them."""
    if table.form.format in ("csv", "excel") and table.flatten is None:
        named = dict.fromkeys(header(table))
        return (name for name in [*named, *found] if name in found)
    return iter(found)
