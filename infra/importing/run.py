"""A whole import: files and a map to `products.jsonl` and `…rejected.jsonl`; without a map, a
guessed one first.

The files are written beside their places and moved there at the end, so that a half-made catalog
never stands for a whole one.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.importing.detecting import detect, tables_of
from infra.importing.errors import ImportFault
from infra.importing.evidence import with_evidence
from infra.importing.formats.known import BY_NAME
from infra.importing.guessing import NO_CATEGORY, ONE_CATEGORY, guess
from infra.importing.map import ImportMap, Reasons
from infra.importing.map_file import map_text, read_map
from infra.importing.places import check_places, guessed_path, rejected_path
from infra.importing.products import ProductMaker, count_kind
from infra.importing.reading import Table
from infra.importing.rejected import Rejected
from infra.importing.seen import Seen
from infra.importing.surveying import Survey, survey

Told = Callable[[str, int, int], None]
"""Is told of progress: what is done, rows done, all rows (0 while nobody knows)."""
OTHERS = (None, "has one of many faults that are not counted apart")
_TOLD_EVERY = 1_000
_PARTICULAR = re.compile(r" \([^()]*(?:\([^()]*\))?[^()]*\)| in [^;]+(?= already)")
_written = json.JSONEncoder(ensure_ascii=False).encode


@dataclass
class ImportReport:
    """What came of an import.

    `reasons` counts what was left out by attribute (None: whole rows) and reason; `examples` has
    the first of each.
    """

    out: Path
    rejected: Path
    map_path: Path
    guessed: bool
    import_map: ImportMap
    rows: int = 0
    products: int = 0
    values: int = 0
    reasons: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    examples: dict[tuple[str | None, str], Rejected] = field(default_factory=dict)
    hints: Counter[str] = field(default_factory=Counter)
    strict: bool = False

    @property
    def rejected_rows(self) -> int:
        """Rows that are no product."""
        return self.rows - self.products

    @property
    def doubts(self) -> list[str]:
        """What of a guessed map is to be looked at first, and what it means."""
        columns, say = self.import_map.columns, []
        if columns.id is None:
            say.append(
                "no column is the id: products are called by their rows, such as row-1, and are "
                "others when the file changes; name one in the map"
            )
        if columns.category == ONE_CATEGORY:
            named = ONE_CATEGORY.removeprefix("=")
            say.append(
                f"no column is the category: all products are of one, {named}; name one in the map"
            )
        encoding = self.import_map.file.encoding
        if encoding in ("cp1252", "latin-1"):
            say.append(
                f"the file is no UTF-8 and was read as {encoding}, Western European; where letters "
                "are wrong, name its encoding in the map, such as cp1251, gbk or shift_jis"
            )
        return say

    def count(self, fault: Rejected) -> None:
        """Count a fault by its attribute and reason; what stands in brackets is its own only."""
        key = (fault.attribute, _PARTICULAR.sub("", fault.reason))
        self.examples.setdefault(count_kind(self.reasons, key, OTHERS), fault)


def import_files(
    files: Sequence[Path],
    out: Path,
    map_path: Path | None = None,
    told: Told = lambda what, done, total: None,
    strict: bool = False,
) -> ImportReport:
    """Import `files` as one catalog to `out`.

    Without `map_path` a map is guessed and written as `map.toml` beside `out`; one that stands
    there already is kept as `map.toml.before`.

    Raises:
        ImportFault: a file or the map cannot be used, no row is a product, or it is `strict` and
            something would be left out.
    """
    check_places(files, out, map_path, None)
    given = None if map_path is None else read_map(map_path)
    form, export, reasons = detect(files[0], None if given is None else given.file)
    tables = tables_of(files, form, export)
    seen = survey(tables, lambda rows: told("looking at the rows", rows, 0))
    if not seen.count:
        raise ImportFault(f"{files[0]}: has no rows; give a file with products")
    if given is None:
        import_map, more = make_map(seen, tables)
        reasons, lacking = {**reasons, **more}, []
        map_path = guessed_path(out)
    else:
        import_map = given
        lacking = _lacking_columns(import_map, seen.columns, map_path)
    assert map_path is not None
    report = ImportReport(out, rejected_path(out), map_path, given is None, import_map)
    report.strict = strict
    for name in lacking:
        report.hints[f"no row has the column {name!r} of the map; see its spelling"] += 1
    out.parent.mkdir(parents=True, exist_ok=True)
    if given is None:
        write_guess(map_path, map_text(import_map, reasons))
    columns, count = seen.columns, seen.count
    del seen  # the sample is large, and has served
    _write(report, tables, columns, lambda rows: told("importing", rows, count))
    if not report.products:
        raise ImportFault(
            f"none of the {report.rows} rows is a product ({_first_reason(report)}); see "
            f"{report.rejected}, then edit {map_path} and give it with --map"
        )
    return report


def make_map(survey: Survey, tables: Sequence[Table]) -> tuple[ImportMap, Reasons]:
    """The map of tables that have none, and why it is so."""
    form = tables[0].form
    if form.export:
        preset = BY_NAME[form.export].preset(survey.columns)
        import_map = preset.model_copy(update={"file": form})
        reasons: Reasons = {("columns",): f"as {form.export} names them"}
        if import_map.columns.category == ONE_CATEGORY:
            reasons["columns", "category"] = NO_CATEGORY
    else:
        import_map, reasons = guess(survey, form, tables[0].path)
    described, more = with_evidence(import_map, survey)
    return described, {**reasons, **more}


def write_guess(path: Path, text: str) -> None:
    """Write a guessed map; another that stands there is moved aside, since somebody may have
    edited it."""
    if path.exists() and path.read_bytes() != text.encode():
        path.replace(path.with_name(f"{path.name}.before"))
    path.write_text(text, encoding="utf-8")


def _lacking_columns(import_map: ImportMap, columns: Sequence[str], path: Path | None) -> list[str]:
    """The columns of a map that no row has: most likely they are misspelled.

    Raises:
        ImportFault: the file has none of them.
    """
    roles = [getattr(import_map.columns, name) for name in type(import_map.columns).model_fields]
    wanted = [*roles, *(spec.column for spec in import_map.attributes.values())]
    names = [n for source in wanted if source for n in _names(source)]
    lacking = [name for name in names if name not in columns]
    if names and len(lacking) == len(names):
        raise ImportFault(
            f"{path}: the file has none of its columns, such as {lacking[0]!r}; it has "
            f"{', '.join(map(repr, columns[:8]))}"
        )
    return list(dict.fromkeys(lacking))


def _names(source: str | tuple[str, ...]) -> list[str]:
    parts = [source] if isinstance(source, str) else list(source)
    return [part for part in parts if not part.startswith("=")]


def _write(
    report: ImportReport,
    tables: Sequence[Table],
    columns: Sequence[str],
    told: Callable[[int], None],
) -> None:
    parts = [path.with_name(f"{path.name}.part") for path in (report.out, report.rejected)]
    try:
        _write_parts(report, tables, columns, told, parts)
        if report.products:
            parts[0].replace(report.out)
        parts[1].replace(report.rejected)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _write_parts(
    report: ImportReport,
    tables: Sequence[Table],
    columns: Sequence[str],
    told: Callable[[int], None],
    parts: Sequence[Path],
) -> None:
    with Seen() as seen, parts[0].open("wb") as products, parts[1].open("wb") as rejected:
        maker = ProductMaker(report.import_map, columns, seen)
        for file, row in ((one.path.name, row) for one in tables for row in one.rows()):
            entry, faults = maker.make(file, row)
            _stop_where_strict(report, faults)
            report.rows += 1
            if entry is not None:
                report.products += 1
                report.values += sum(map(len, entry["catalog"].values()))
                products.write(_line(entry))
            for fault in faults:
                report.count(fault)
                rejected.write(_line(fault.entry()))
            if report.rows % _TOLD_EVERY == 0:
                told(report.rows)
        report.hints.update(maker.hints)
    told(report.rows)


def _stop_where_strict(report: ImportReport, faults: Sequence[Rejected]) -> None:
    if report.strict and faults:
        one = faults[0]
        what = "" if one.attribute is None else f"attribute {one.attribute!r}, {one.value!r}: "
        raise ImportFault(f"{one.file}, line {one.line}: {what}{one.reason}")


def _line(entry: dict[str, object]) -> bytes:
    return _written(entry).encode("utf-8", "replace") + b"\n"


def _first_reason(report: ImportReport) -> str:
    if not report.reasons:
        return "all are empty"
    (_, reason), _ = report.reasons.most_common(1)[0]
    return reason
