"""Categories of a source as a schema file, with the source's ids and codes as notes.

The file is one that `schemas.sources.json_schema` reads. In fields that it ignores stand the id of
each category and attribute, and `codes`, those of the values in their order where they differ.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.category import CategorySchema, CategorySchemas
from schemas.errors import SchemaError
from schemas.sources.drafts import Made, attributes_of
from schemas.sources.left_out import LeftOut
from schemas.sources.selecting import Selection
from schemas.texts import is_cut


@dataclass(frozen=True)
class BuiltCategory:
    """A category's schema, the source's id of it, and its attributes with theirs."""

    schema: CategorySchema
    id: str
    made: tuple[Made, ...]


@dataclass(frozen=True)
class Built:
    """Schemas of a source."""

    categories: tuple[BuiltCategory, ...]
    left_out: LeftOut

    @property
    def attributes(self) -> int:
        """How many there are in all categories."""
        return sum(len(one.made) for one in self.categories)

    @property
    def values(self) -> int:
        """How many allowed values there are in all attributes."""
        return sum(len(m.attribute.values) for one in self.categories for m in one.made)


def build(selection: Selection, left_out: LeftOut) -> Built:
    """The schemas of what was selected; what they cannot say is counted in `left_out`."""
    names: set[str] = {category.name for category, _ in selection.categories}
    taken: set[str] = set()
    built = []
    for category, called in selection.categories:
        name = category.name
        if name in taken:
            left_out.note("category", "has a name that stands twice: its id was put behind", name)
            name = f"{name} ({category.id})"
        if not name.strip() or name in taken or is_cut(name):
            left_out.note("category", "has no name of its own", category.id)
            continue
        taken.add(name)
        made = tuple(attributes_of(category.drafts(), name, left_out))
        aliases = [
            alias
            for alias in dict.fromkeys((*called, *category.former))
            if alias not in names and alias not in taken and not is_cut(alias)
        ]
        taken.update(aliases)
        schema = CategorySchema(
            category=name, attributes=tuple(m.attribute for m in made), aliases=tuple(aliases)
        )
        built.append(BuiltCategory(schema, category.id, made))
    return Built(tuple(built), left_out)


def write_built(path: Path, built: Built) -> None:
    """Write the schemas in the place of what stood there, which is kept as `….before`, since
    somebody may have edited it; a worker never reads half of a file.

    Raises:
        SchemaError: there is nothing to write, an alias is another category's name, or the file
            cannot be written.
    """
    if not built.categories:
        raise SchemaError("no category is left to write; name some that the source has")
    CategorySchemas(one.schema for one in built.categories)
    if not path.name:
        raise SchemaError(f"{path}: is a folder; give a file that can be written")
    part = path.with_name(f"{path.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        # Names are whole; an id that has half of a character is a note.
        with part.open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(_written(built))
        if path.exists() and path.read_bytes() != part.read_bytes():
            path.replace(path.with_name(f"{path.name}.before"))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise SchemaError(f"{path}: {error.strerror}; give a file that can be written") from error


def _written(built: Built) -> Iterator[str]:
    """The file category by category: all of them at once would take several times its size."""
    before = "{\n"
    for one in built.categories:
        name = json.dumps(one.schema.category, ensure_ascii=False)
        content = json.dumps(_category(one), ensure_ascii=False, indent=1)
        yield f"{before}{name}: {content}"
        before = ",\n"
    yield "\n}\n"


def _category(built: BuiltCategory) -> dict[str, Any]:
    schema = built.schema
    own = schema.model_dump(mode="json", exclude_defaults=True, exclude={"category", "attributes"})
    return {"id": built.id, **own, "attributes": [_attribute(made) for made in built.made]}


def _attribute(made: Made) -> Mapping[str, Any]:
    fields = made.attribute.model_dump(mode="json", exclude_defaults=True)
    notes: dict[str, Any] = {} if made.id == made.attribute.name else {"id": made.id}
    if made.codes != made.attribute.values:
        notes["codes"] = list(made.codes)
    return fields | notes
