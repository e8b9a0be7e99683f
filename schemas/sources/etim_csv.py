"""ETIM's CSV release: a folder, or the zip as it is downloaded, with `ETIMARTCLASS.csv` and others.

Semicolons, UTF-16 or UTF-8, one language. Tables are joined by `ARTCLASSID`, `FEATUREID`,
`VALUEID` and `UNITOFMEASID`; `ARTCLASSFEATURENR` is a feature of a class. Understood from programs
that read ETIM International's release 10.0 (ODC-By).
"""

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from schemas.errors import SchemaError
from schemas.sources.etim_model import EtimClass, Feature, Words, source_of
from schemas.sources.files import content_of, decoded
from schemas.sources.left_out import LeftOut
from schemas.sources.source import Source

MAIN = "ETIMARTCLASS.csv"
_LARGEST = 1 << 29
"""Bytes of a table in a zip; the largest real one has a fiftieth."""


def read_etim_csv(path: Path) -> Source:
    """The classes of the release in the folder or zip `path`.

    Raises:
        SchemaError: a table or a column is missing, or cannot be read.
    """
    tables = _zipped(path) if path.is_file() else _Folder(path)
    words = Words(
        groups=_words(tables, "ETIMARTGROUP.csv", "ARTGROUPID", "GROUPDESC"),
        classes=_words(tables, MAIN, "ARTCLASSID", "ARTCLASSDESC"),
        features=_words(tables, "ETIMFEATURE.csv", "FEATUREID", "FEATUREDESC"),
        values=_words(tables, "ETIMVALUE.csv", "VALUEID", "VALUEDESC"),
        units=_words(tables, "ETIMUNIT.csv", "UNITOFMEASID", "UNITDESC"),
    )
    values = _grouped(tables, "ETIMARTCLASSFEATUREVALUEMAP.csv", "ARTCLASSFEATURENR", ("VALUEID",))
    fields = ("FEATUREID", "FEATURETYPE", "UNITOFMEASID", "ARTCLASSFEATURENR")
    features = _grouped(tables, "ETIMARTCLASSFEATUREMAP.csv", "ARTCLASSID", fields)
    classes = [
        EtimClass(
            code,
            group,
            [
                Feature(feature, kind, unit, [value for (value,) in values.get(number, ())])
                for feature, kind, unit, number in features.get(code, ())
            ],
        )
        for code, group in _words(tables, MAIN, "ARTCLASSID", "ARTGROUPID").items()
    ]
    return source_of(classes, words, LeftOut())


class _Folder(Mapping[str, bytes]):
    """The files of a folder by their names, in whatever letter case."""

    def __init__(self, path: Path) -> None:
        self._files = {one.name.casefold(): one for one in sorted(path.iterdir()) if one.is_file()}

    def __getitem__(self, name: str) -> bytes:
        return content_of(self._files[name.casefold()])

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _zipped(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [one for one in archive.infolist() if _is_table(one.filename)]
            for one in entries:
                if one.file_size > _LARGEST:
                    raise SchemaError(f"{path}: {one.filename} is too large to be a table of ETIM")
            return {_name(one.filename): archive.read(one) for one in entries}
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as error:
        raise SchemaError(f"{path}: {error}; give the zip as it was downloaded") from error


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _is_table(path: str) -> bool:
    return _name(path).upper().startswith("ETIM") and path.lower().endswith(".csv")


def _rows(tables: Mapping[str, bytes], name: str, columns: tuple[str, ...]) -> Iterator[list[str]]:
    try:
        content = tables[name]
    except KeyError:
        raise SchemaError(
            f"{name} is missing; give the folder or the zip of ETIM's CSV release, with all tables"
        ) from None
    reader = csv.reader(io.StringIO(decoded(content, name), newline=""), delimiter=";")
    try:
        header = [cell.strip().upper() for cell in next(reader)]
        lacking = [column for column in columns if column not in header]
        if lacking:
            raise SchemaError(
                f"{name}: has no column {lacking[0]}; give ETIM's CSV release, parted by semicolons"
            )
        places = [header.index(column) for column in columns]
        for row in reader:
            if len(row) > max(places):
                yield [row[place].strip() for place in places]
    except csv.Error as error:
        raise SchemaError(f"{name}, line {reader.line_num}: {error}") from error


def _words(tables: Mapping[str, bytes], name: str, code: str, words: str) -> dict[str, str]:
    return {one: said for one, said in _rows(tables, name, (code, words)) if one}


def _grouped(
    tables: Mapping[str, bytes], name: str, by: str, columns: tuple[str, ...]
) -> dict[str, list[list[str]]]:
    """The `columns` of a table's rows by the column `by`, in the order of `SORTNR`."""
    found: defaultdict[str, list[tuple[int, list[str]]]] = defaultdict(list)
    for key, order, *row in _rows(tables, name, (by, "SORTNR", *columns)):
        found[key].append((int(order) if order.isdecimal() else 0, row))
    return {
        key: [row for _, row in sorted(rows, key=lambda one: one[0])] for key, rows in found.items()
    }
