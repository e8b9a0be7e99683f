"""What a file is: its container, the program that exported it, and how its text is written."""

import codecs
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from infra.importing import delimited, excel
from infra.importing.errors import ImportFault
from infra.importing.formats.form import Format
from infra.importing.formats.known import BY_NAME, FORMATS
from infra.importing.map import FileForm, Reasons
from infra.importing.names import ROLES, bare_name
from infra.importing.reading import Table, header, raw_rows_of
from infra.importing.records import structure

STRUCTURED = 0.9
SAMPLED = 200
MOST_SHEETS = 12
LEAST_ROLES = 2
MOST_CONTROLS = 0.02
_HEAD = 1 << 16
_ZIP, _PARQUET, _GZIP, _TAR = b"PK\x03\x04", b"PAR1", b"\x1f\x8b", b"ustar"


def detect(path: Path, given: FileForm | None = None) -> tuple[FileForm, Format | None, Reasons]:
    """How `path` is to be read, the export that it is, and why; a `given` form is kept.

    Raises:
        ImportFault: the file cannot be read, or is of a kind that is not read.
    """
    if given is not None:
        if given.export and given.export not in BY_NAME:
            raise ImportFault(
                f"[file] export = {given.export!r} is not known; write one of {', '.join(BY_NAME)}"
            )
        return given, BY_NAME.get(given.export), {}
    with delimited.readable(path):
        return _detect(path)


def _detect(path: Path) -> tuple[FileForm, Format | None, Reasons]:
    with delimited.open_bytes(path) as file:
        head = file.read(_HEAD)
    if not head.removeprefix(codecs.BOM_UTF8).strip():
        raise ImportFault(f"{path}: is empty; give a file with products")
    for one in FORMATS:
        if one.flatten is not None and one.sniff(_as_utf_8(head)):
            form = FileForm(format="feed", export=one.name)
            return form, one, {("file", "export"): "by what stands at the beginning of the file"}
    form, why = _container(path, head)
    reasons: Reasons = {("file", name): text for name, text in why.items()}
    return _known(path, form, reasons)


def _as_utf_8(head: bytes) -> bytes:
    marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return head.decode("utf-16", "replace").encode() if marked else head


def tables_of(files: Sequence[Path], form: FileForm, export: Format | None) -> list[Table]:
    """A table for each of the files, all read in the same way."""
    if export is None:
        return [Table(path, form) for path in files]
    return [Table(path, form, export.flatten, export.prepare) for path in files]


def _container(path: Path, head: bytes) -> tuple[FileForm, dict[str, str]]:
    if head.startswith(_PARQUET) and delimited.is_packed(path):
        raise ImportFault(f"{path}: is packed twice; unpack it, Parquet is packed inside")
    if head.startswith(_PARQUET):
        return FileForm(format="parquet"), {"format": "the file begins as Parquet does"}
    if head.startswith(_ZIP):
        _check_zip(path)
        return FileForm(format="excel"), {"format": "the file is a zip, as Excel's are"}
    if head.startswith(_GZIP):
        raise ImportFault(f"{path}: is packed twice; unpack it once")
    if head[257:262] == _TAR:
        raise ImportFault(f"{path}: is a tar archive; unpack it and give what is in it")
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise ImportFault(
            f"{path}: is an Excel file of before 2007, or has a password; save it as .xlsx without "
            "one, or as CSV"
        )
    encoding, why = delimited.find_encoding(path)
    controls = sum(ord(c) < 32 and c not in "\0\t\n\r\f\x1f" for c in head.decode("latin-1"))
    if not encoding.startswith("utf-16") and controls > MOST_CONTROLS * len(head):
        raise ImportFault(
            f"{path}: is no text; give CSV, JSON, Parquet, Excel or XML, or any in .gz"
        )
    text = head.decode(encoding, "replace").lstrip("\ufeff").lstrip()
    if text.startswith("["):
        return FileForm(format="json", encoding=encoding), {"format": "begins with a bracket"}
    if text.startswith("{"):
        first, _, rest = text.partition("\n")
        lines = first.rstrip().rstrip(",").endswith("}") and rest.lstrip().startswith("{")
        kind = "jsonl" if lines else "json"
        form = FileForm.model_validate({"format": kind, "encoding": encoding})
        return form, {
            "format": "an object on each line" if lines else "begins with an object",
            "encoding": why,
        }
    if text.startswith("<"):
        raise ImportFault(
            f"{path}: is XML or HTML of an unknown kind; known are {_feeds()}; export a CSV instead"
        )
    return delimited.find_form(path)


def _check_zip(path: Path) -> None:
    """Excel's files are zips, but not all zips are Excel's; a broken one is left to its reader.

    Raises:
        ImportFault: it is another.
    """
    try:
        with delimited.open_bytes(path) as file:
            names = ZipFile(file).namelist()
    except BadZipFile:
        return
    if "content.xml" in names:
        raise ImportFault(f"{path}: is an OpenDocument file; save it as .xlsx or as CSV")
    if names and not any(name.startswith("xl/") for name in names):
        raise ImportFault(f"{path}: is a zip archive, of {names[0]}; unpack it and give that")


def _feeds() -> str:
    return ", ".join(one.name for one in FORMATS if one.flatten is not None)


def _known(path: Path, form: FileForm, reasons: Reasons) -> tuple[FileForm, Format | None, Reasons]:
    """The form with the export that the columns tell of, if they do."""
    table = Table(path, form)
    if form.format in ("csv", "excel"):
        # The goods may stand behind sheets of instructions.
        names = excel.sheets(path)[:MOST_SHEETS] if form.format == "excel" else [""]
        for name in names:
            rows = _first(Table(path, form.model_copy(update={"sheet": name})))
            for one in FORMATS:
                number = one.header(rows)
                if number is not None:
                    found = {"header_row": number, "export": one.name, "sheet": name}
                    reasons["file", "export"] = "by the names in the row of its header"
                    return form.model_copy(update=found), one, reasons
        if form.format == "excel":
            form = _sheet(path, form, names, reasons)
        columns = header(Table(path, form))
    else:
        columns = tuple(dict.fromkeys(n for row in _sample(table) for n in row))
    for one in FORMATS:
        if one.recognise(columns):
            reasons["file", "export"] = "by the names of its columns"
            return form.model_copy(update={"export": one.name}), one, reasons
    structured = _json_columns(table.path, form) if form.format in ("csv", "excel") else ()
    if structured:
        reasons["file", "json_columns"] = "all cells looked at are objects or lists"
        form = form.model_copy(update={"json_columns": structured})
    return form, None, reasons


def _sheet(path: Path, form: FileForm, names: Sequence[str], reasons: Reasons) -> FileForm:
    """The sheet of products: the first whose header has names of two roles, else the first with
    any cell."""
    found: list[tuple[bool, str, int]] = []
    for name in names:
        rows = _first(Table(path, form.model_copy(update={"sheet": name})))
        if number := delimited.find_header(rows):
            words = {bare_name(cell) for cell in rows[number - 1]}
            roles = sum(not words.isdisjoint(map(bare_name, ROLES[role])) for role in ROLES)
            found.append((roles < LEAST_ROLES, name, number))
    if not found:
        return form
    unnamed, name, number = min(found, key=lambda one: one[0])
    if name == names[0]:
        return form.model_copy(update={"header_row": number})
    what = "that has a cell" if unnamed else "whose header has names as products have"
    reasons["file", "sheet"] = f"the first sheet {what}"
    return form.model_copy(update={"header_row": number, "sheet": name})


def _json_columns(path: Path, form: FileForm) -> tuple[str, ...]:
    """The columns of which nearly all cells are objects or lists, some broken ones aside."""
    cells: dict[str, list[bool]] = {}
    for row in _sample(Table(path, form)):
        for name, cell in row.items():
            cells.setdefault(name, []).append(structure(cell) is not None)
    return tuple(name for name, own in cells.items() if sum(own) >= STRUCTURED * len(own))


def _first(table: Table) -> list[list[str]]:
    return [cells for _, cells in islice(raw_rows_of(table), delimited.HEADER_WITHIN)]


def _sample(table: Table) -> list[dict[str, str]]:
    return [row.cells for row in islice(table.rows(), SAMPLED)]
