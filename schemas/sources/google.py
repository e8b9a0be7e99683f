"""Google's product taxonomy, `taxonomy-with-ids.LOCALE.txt`, as a source of schemas.

Its first line is `# Google_Product_Taxonomy_Version: 2021-09-21`; then comes a category a line,
`3237 - Animals & Pet Supplies > Live Animals`. It names categories and has no attributes: these are
those of the Merchant feed (`google_attributes`). Each language is a file of its own with the same
ids.
"""

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from schemas.errors import SchemaError
from schemas.sources.drafts import Draft, Value
from schemas.sources.files import content_of, decoded
from schemas.sources.google_attributes import ATTRIBUTES
from schemas.sources.left_out import LeftOut
from schemas.sources.source import PATH_SEPARATOR, Source, SourceCategory

_VERSION = "# Google_Product_Taxonomy_Version:"
_LINE = re.compile(r"(\d+) - (\S.*)")


def read_google(path: Path) -> Source:
    """The categories in `path`.

    Raises:
        SchemaError: the file cannot be read, or is no taxonomy with ids.
    """
    lines = decoded(content_of(path), path).splitlines()
    if not lines[0].startswith(_VERSION):
        raise SchemaError(
            f"{path}: does not begin with {_VERSION!r}; give Google's taxonomy-with-ids.LOCALE.txt"
        )
    left_out = LeftOut()
    paths: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise SchemaError(
                f"{path}, line {number}: {line[:60]!r} is no `ID - A > B`; give the file with the "
                "ids, taxonomy-with-ids.LOCALE.txt"
            )
        if found[1] in paths:
            left_out.note("category", "has an id that stands twice", f"{path}, line {number}")
            continue
        paths[found[1]] = tuple(part.strip() for part in found[2].split(PATH_SEPARATOR.strip()))
    ids = {path: identity for identity, path in paths.items()}
    return Source(
        [
            SourceCategory(identity, names, partial(_drafts, _above(names, ids)))
            for identity, names in paths.items()
        ],
        left_out,
    )


def _above(path: tuple[str, ...], ids: dict[tuple[str, ...], str]) -> frozenset[str]:
    """The ids of a category and of those above it."""
    prefixes = (path[:depth] for depth in range(1, len(path) + 1))
    return frozenset(ids[prefix] for prefix in prefixes if prefix in ids)


def _drafts(above: frozenset[str]) -> Iterable[Draft]:
    for one in ATTRIBUTES:
        if one.below is None or one.below & above:
            fields = dict(one.fields)
            if one.required_below & above:
                fields["required"] = True
            values = [Value(value, value) for value in one.values]
            yield Draft(one.name, one.name, one.type, values, fields)
