"""Files of sources: text, JSON and XML, read whole or element by element, with faults in words."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError, iterparse

from schemas.errors import SchemaError

DEEPEST = 100
"""Elements in elements. Taxonomies have six levels, and a hostile file has a million."""


def decoded(content: bytes, where: object) -> str:
    """`content` as text: UTF-16 by its byte order mark, else UTF-8 with or without one.

    Raises:
        SchemaError: it is neither, or empty.
    """
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise SchemaError(
            f"{where}: byte {error.start} is not {encoding.removesuffix('-sig').upper()}; save the "
            "file as UTF-8"
        ) from error
    if not text.strip():
        raise SchemaError(f"{where}: is empty; give the whole file")
    return text


def content_of(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        SchemaError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise SchemaError(f"{path}: {error.strerror}; give the path of a file") from error


def loaded(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        SchemaError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(decoded(content_of(path), path))
    except json.JSONDecodeError as error:
        raise SchemaError(
            f"{path}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}"
        ) from error
    except RecursionError as error:
        raise SchemaError(f"{path}: nested too deep; give a file of the source as it is") from error
    except ValueError as error:  # a number of thousands of digits
        raise SchemaError(f"{path}: not JSON: {error}") from error


def head_of(path: Path) -> bytes:
    """The first bytes of a file, by which its kind is known.

    Raises:
        SchemaError: it cannot be read, or is empty.
    """
    with _opened(path) as file:
        head = file.read(4096)
    if not head.strip():
        raise SchemaError(f"{path}: is empty; give the whole file")
    return head


def elements(path: Path) -> Iterator[tuple[tuple[str, ...], Element]]:
    """Each element of an XML file when it ends, with the names from the root down to it.

    Names have no namespaces. Whoever has read an element clears it.

    Raises:
        SchemaError: the file is no XML from some place on, or nested too deep.
    """
    above: list[str] = []
    with _opened(path) as file:
        try:
            for event, element in iterparse(file, ("start", "end")):
                if event == "start":
                    above.append(element.tag.rpartition("}")[2])
                    if len(above) > DEEPEST:
                        raise SchemaError(
                            f"{path}: has more than {DEEPEST} elements in one another; give a file "
                            "of the source as it is"
                        )
                    continue
                yield tuple(above), element
                above.pop()
        except (ParseError, LookupError, ValueError) as error:  # an encoding that is none, too
            raise SchemaError(f"{path}: not XML: {error}; give the whole file") from error


def child(element: Element, name: str) -> str:
    """The text of the first child called `name`, without regard to namespaces; else empty."""
    for one in element:
        if one.tag.rpartition("}")[2] == name:
            return (one.text or "").strip()
    return ""


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        file: IO[bytes] = path.open("rb")
    except OSError as error:
        raise SchemaError(f"{path}: {error.strerror}; give the path of a file") from error
    with file:
        yield file
