"""XML read element by element, in memory that does not grow with the file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, iterparse

from infra.importing.delimited import open_bytes
from infra.importing.errors import ImportFault


def elements(path: Path, names: Sequence[str]) -> Iterator[Element]:
    """The elements of `path` that are called by one of `names`, without regard to namespaces.

    Raises:
        ImportFault: the file is no XML from some place on; says where.
    """
    with open_bytes(path) as file:
        above: list[Element] = []
        try:
            for event, element in iterparse(file, ("start", "end")):
                if event == "start":
                    above.append(element)
                    continue
                above.pop()
                if local(element) in names:
                    yield element
                    element.clear()
                    if above:
                        above[-1].remove(element)
        except ParseError as error:
            raise ImportFault(f"{path}: not XML: {error}; give the whole file") from error


def local(element: Element) -> str:
    """The element's name without its namespace."""
    return element.tag.rpartition("}")[2]
