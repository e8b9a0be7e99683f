"""What a known export is to the importer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infra.importing.map import ImportMap
from infra.importing.reading import Flatten, Prepare, Rows

__all__ = ["Format", "Rows"]


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
    flatten: Flatten | None = None
    prepare: Prepare | None = None
    header: Callable[[Sequence[Sequence[str]]], int | None] = lambda rows: None
    """The header's row, counted from 1, where it is not the first full one."""
