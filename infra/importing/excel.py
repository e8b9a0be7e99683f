"""Excel sheets as rows of texts; dates as YYYY-MM-DD, whole numbers without decimals."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from infra.importing.delimited import open_bytes
from infra.importing.errors import ImportFault
from infra.importing.map import FileForm


def raw_rows(path: Path, form: FileForm) -> Iterator[tuple[int, list[str]]]:
    """The rows of the sheet with their numbers, streamed; rows without a cell are left out.

    Raises:
        ImportFault: the file is no Excel file, or has no such sheet.
    """
    with _book(path) as book:
        if form.sheet and form.sheet not in book.sheetnames:
            raise ImportFault(
                f"{path}: has no sheet {form.sheet!r}; it has {', '.join(book.sheetnames)}"
            )
        sheet = book[form.sheet] if form.sheet else book.worksheets[0]
        sheet.reset_dimensions()  # some programs write a wrong size, and rows would be left out
        for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
            cells = [_text(value) for value in row]
            if any(cells):
                yield number, cells


@contextmanager
def _book(path: Path) -> Iterator[Any]:
    # Imported here: an import of another format does without it.
    from openpyxl import load_workbook

    with open_bytes(path) as file:
        try:
            book = load_workbook(file, read_only=True, data_only=True)
            try:
                yield book
            finally:
                book.close()
        except ImportFault:
            raise
        except (BadZipFile, OSError, KeyError, ValueError) as error:
            raise ImportFault(
                f"{path}: is no Excel file (.xlsx); save it as one, or as CSV"
            ) from error
        except Exception as error:  # openpyxl has many for what it did not expect
            raise ImportFault(
                f"{path}: cannot be read as Excel ({error}); save it anew as .xlsx, or as CSV"
            ) from error


def sheets(path: Path) -> list[str]:
    """The names of the sheets, in their order."""
    with _book(path) as book:
        return list(book.sheetnames)


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime():
            return value.isoformat(sep=" ")
        case date():
            return value.isoformat()
        case _:
            return str(value)
