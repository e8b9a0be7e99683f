"""Delimited text: encoding, delimiter, quotes and header row found, then rows with their lines.

Python's csv module reads it, not DuckDB: a rejected row is to be found again by its line in the
file, which DuckDB does not tell of rows that it could read, and one cell with a stray quote makes
its sniffer take a whole file for a single column (DuckDB 1.5.5).
"""

import codecs
import csv
import gzip
import io
import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from infra.importing.errors import ImportFault
from infra.importing.map import FileForm

# One field of a broken file, whose quote is never closed, would be all that follows it.
LONGEST_FIELD = 1 << 22
DELIMITERS = (",", ";", "\t", "|")
LOOKED_AT = 500
MOSTLY = 0.9
LEAST_NAMES = 3
HEADER_WITHIN = 10
_BLOCK = 1 << 20
_HINT = re.compile(r'"?sep=(.)"?')

RawRow = tuple[int, list[str]]
"""The line of the file at which a row ends, and its cells."""


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Faults in the packing or in the encoding of `path` become a sentence."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ImportFault(f"{path}: is no whole gzip file ({error}); fetch it again") from error
    except UnicodeError as error:
        raise ImportFault(
            f"{path}: is not {error.encoding if isinstance(error, UnicodeDecodeError) else 'text'}"
            " all through; set [file] encoding in the map, or save the file as UTF-8"
        ) from error


def is_packed(path: Path) -> bool:
    """Whether `path` is packed by gzip."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def open_bytes(path: Path) -> IO[bytes]:
    """The bytes of `path`, unpacked if it is packed by gzip, whatever it is called."""
    try:
        return cast(IO[bytes], gzip.open(path)) if is_packed(path) else path.open("rb")
    except OSError as error:
        raise ImportFault(f"{path}: {error.strerror}; give the path of a file") from error


def find_encoding(path: Path) -> tuple[str, str]:
    """The encoding of a text file, by its first bytes and by what decodes all of it; and why."""
    with open_bytes(path) as file:
        head = file.read(4096)
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(mark):
            return name, "the file begins with its byte order mark"
    if head and head.count(0) > len(head) // 4:
        name = "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
        return name, "every second byte is 0"
    return _by_all_bytes(path)


def _by_all_bytes(path: Path) -> tuple[str, str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    wrong = beyond_ascii = 0
    between = False  # bytes that cp1252 has and latin-1 uses for control characters
    undefined = False  # bytes that cp1252 lacks
    with open_bytes(path) as file:
        while block := file.read(_BLOCK):
            if block.isascii():
                continue
            text = decoder.decode(block)
            wrong += text.count("\ufffd")
            beyond_ascii += len(text) - len(text.encode("ascii", "ignore"))
            between = between or any(byte in block for byte in range(0x80, 0xA0))
            undefined = undefined or any(byte in block for byte in b"\x81\x8d\x8f\x90\x9d")
    if not wrong:
        return "utf-8", "all bytes are UTF-8"
    if wrong * 2 <= beyond_ascii:  # of another encoding nearly all would be wrong
        return "utf-8", f"most is UTF-8; {wrong} bytes are not, and what has them is refused"
    if undefined:
        return "latin-1", "the bytes are neither UTF-8 nor Windows' cp1252"
    why = "has bytes that only cp1252 has" if between else "what latin-1 has, cp1252 has as well"
    return "cp1252", f"the bytes are not UTF-8; {why}"


def open_text(path: Path, encoding: str) -> IO[str]:
    """The text of `path`; what is not of the encoding becomes halves of characters, which are
    refused where they stand."""
    try:
        # newline="": line ends inside of quotes stay, and only real ones count as lines.
        return io.TextIOWrapper(open_bytes(path), encoding, "surrogateescape", newline="")
    except LookupError as error:
        raise ImportFault(
            f"{path}: there is no encoding {encoding!r}; write utf-8, utf-16, cp1252 or latin-1"
        ) from error


def find_form(path: Path) -> tuple[FileForm, dict[str, str]]:
    """How the delimited text in `path` is written, and by field why."""
    encoding, why = find_encoding(path)
    lines = _first_lines(path, encoding)
    # Excel's own hint, which it writes and hides.
    hint = _HINT.fullmatch(lines[0].strip()) if lines else None
    lines = lines[1:] if hint else lines
    scores = {
        (delimiter, quote): _score(lines, delimiter, quote)
        for delimiter, quote in itertools.product(DELIMITERS, ('"', ""))
    }
    ways = [
        # Without quotes only where these part rows wrongly: `"` is for inches, too.
        (d, "" if scores[d, ""].share > scores[d, '"'].share else '"')
        for d in DELIMITERS
    ]
    # A list in each row has many parts, and the header none of them.
    headed = [way for way in ways if scores[way].headed and scores[way].share >= MOSTLY]
    delimiter, quote = max(headed or ways, key=lambda way: scores[way].share * scores[way].width)
    share, width, _ = scores[delimiter, quote]
    rows = list(_parse(lines, delimiter, quote))
    header = find_header([cells for _, cells in rows])
    number = (header or 1) + (hint is not None)
    form = FileForm(encoding=encoding, delimiter=delimiter, quote=quote, header_row=number)
    reasons = {
        "encoding": why,
        "delimiter": f"{share:.0%} of the first {len(rows)} rows have {width} cells so",
    }
    if number > 1:
        reasons["header_row"] = "the first row with names for half of the columns"
    return form, reasons


def find_header(rows: Sequence[Sequence[str]]) -> int | None:
    """The row, counted from 1, that names the columns: the first with names for half of them.

    Above it may stand a title, settings, or names of groups of columns."""
    widths = Counter(len(row) for row in rows if any(row))
    if not widths:
        return None
    usual = widths.most_common(1)[0][0]
    for number, row in enumerate(rows[:HEADER_WITHIN], 1):
        if 2 * len({cell for cell in row if cell and not cell.isspace()}) >= usual:
            return number
    return 1


def raw_rows(path: Path, form: FileForm) -> Iterator[RawRow]:
    """The rows of the file, header and all; rows without a cell are left out."""
    with open_text(path, form.encoding) as file:
        yield from _parse(file, form.delimiter, form.quote, path)


def _parse(lines: Any, delimiter: str, quote: str, path: Path | None = None) -> Iterator[RawRow]:
    csv.field_size_limit(LONGEST_FIELD)
    quoting: dict[str, Any] = (
        {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE, "quotechar": None}
    )
    reader = csv.reader(
        (line.replace("\0", "") for line in lines), delimiter=delimiter or ",", **quoting
    )
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if path is None:
                return
            said = f"{error};"
            if "field limit" in said:
                said = f"a cell is longer than {LONGEST_FIELD:,} characters: shorten it; or"
            raise ImportFault(
                f"{path}, line {reader.line_num}: {said} a quote before it is never closed: mend "
                'the file, or set [file] quote = "" in the map'
            ) from error
        if cells:
            yield reader.line_num, cells


def _first_lines(path: Path, encoding: str) -> list[str]:
    with open_text(path, encoding) as file:
        return list(itertools.islice(file, LOOKED_AT))


class _Score(NamedTuple):
    """The share of rows that have the usual number of cells (0 for one column), this number, and
    whether the first row has it, too, as no title above a header would by chance."""

    share: float
    width: int
    headed: bool


def _score(lines: list[str], delimiter: str, quote: str) -> _Score:
    widths = [len(cells) for _, cells in _parse(lines, delimiter, quote)]
    if not widths:
        return _Score(0.0, 1, False)
    width, rows = Counter(widths).most_common(1)[0]
    share = rows / len(widths) if width > 1 else 0.0
    return _Score(share, width, width >= LEAST_NAMES and widths[0] == width)
