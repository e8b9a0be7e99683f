"""What a known export is to the importer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.importing.map import ImportMap
from infra.importing.reading import Row

Rows = Callable[[], Iterator[Row]]
"""All rows of the files, from the first, each time that it is called."""


@dataclass(frozen=True)
class Format:
    """One program's export.

    `recognise` is asked for the columns of a table; `sniff` for the first bytes of any file, where
    the file is no table, or its header is not in the first row. `prepare` sees the rows of one
    file.
    """

    name: str
    preset: Callable[[Sequence[str]], ImportMap]
    recognise: Callable[[Sequence[str]], bool] = lambda columns: False
    sniff: Callable[[bytes], bool] = lambda head: False
    flatten: Callable[[Path], Iterator[dict[str, str]]] | None = None
    prepare: Callable[[Rows], Iterator[Row]] | None = None
    header: Callable[[Sequence[Sequence[str]]], int | None] = lambda rows: None
    """The header's row, counted from 1, where it is not the first full one."""
