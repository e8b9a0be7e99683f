"""ETIM as a source of schemas: its CSV release, its IXF, or a BMEcat file's own classification."""

from pathlib import Path

from schemas.errors import SchemaError
from schemas.sources.bmecat import read_bmecat
from schemas.sources.etim_csv import read_etim_csv
from schemas.sources.etim_ixf import read_etim_ixf
from schemas.sources.files import head_of
from schemas.sources.source import Source


def read_etim(path: Path, locale: str | None = None) -> Source:
    """The classes in `path`: a folder or zip of CSV, an IXF or a BMEcat file.

    Raises:
        SchemaError: it is none of these, or wrong; or `locale` is given for a file of one language.
    """
    if path.is_dir():
        return _of_one_language(read_etim_csv(path), path, locale)
    head = head_of(path)
    if head.startswith(b"PK"):
        return _of_one_language(read_etim_csv(path), path, locale)
    if b"<BMECAT" in head:
        return _of_one_language(read_bmecat(path), path, locale)
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") or head[:2] in (
        b"\xff\xfe",
        b"\xfe\xff",
    ):
        return read_etim_ixf(path, locale)
    raise SchemaError(
        f"{path}: is neither XML nor a zip; give ETIM's IXF, the folder or zip of its CSV release, "
        "or a BMEcat file"
    )


def _of_one_language(source: Source, path: Path, locale: str | None) -> Source:
    if locale is not None:
        raise SchemaError(f"{path}: has one language, which nobody can choose; leave --locale out")
    return source
