"""A release of the Shopify product taxonomy (YAML, github.com/Shopify/product-taxonomy) as files.

The folder holds `attributes.yml`, `values.yml` and `categories/*.yml`. As the taxonomy has it:

- every category lists all of its attributes itself. A child mostly repeats its parent's and adds
  its own, but some (958 of 10,595 in 2025-01) leave one of the parent's out on purpose, so nothing
  is added from above.
- a *base* attribute lists its values; an *extended* one inherits them from another attribute
  (`values_from`) under a name of its own.

Values are one of a list. The files do not say how many a product may have; Shopify stores each
attribute as a list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import SchemaError
from schemas.sources.shopify_files import load, named_entries
from schemas.sources.source import PATH_SEPARATOR


@dataclass(frozen=True)
class Release:
    """The files of a release as they refer to each other, all references checked.

    values: names by friendly id. attributes: entries by friendly id, each with `name`,
    `description` and `values`, its own or those of the one that it extends. names, listed: the name
    and the attributes of each category, by its id.
    """

    values: Mapping[str, str]
    attributes: Mapping[str, Mapping[str, Any]]
    names: Mapping[str, str]
    listed: Mapping[str, tuple[str, ...]]

    def full_names(self) -> dict[str, str]:
        """The full name of each category, by its id."""
        return {category: _full_name(category, self.names) for category in self.listed}


def read_release(folder: Path) -> Release:
    """The files of the taxonomy that stands in `folder`, its `data`.

    Raises:
        SchemaError: a file is missing or wrong, or refers to what is not there.
    """
    values_file = folder / "values.yml"
    values = {
        entry["friendly_id"]: entry["name"]
        for entry in named_entries(values_file, load(values_file), ("friendly_id", "name"))
    }
    attributes = _entries(folder / "attributes.yml", values)
    files = sorted((folder / "categories").glob("*.yml"))
    if not files:
        raise SchemaError(f"{folder}: has no categories/*.yml; give the taxonomy's `data` folder")
    names: dict[str, str] = {}
    listed: dict[str, tuple[str, ...]] = {}
    for file in files:
        for entry in named_entries(file, load(file), ("id", "name"), ("attributes",)):
            names[entry["id"]] = entry["name"]
            listed[entry["id"]] = tuple(entry["attributes"])
            for name in entry["attributes"]:
                if name not in attributes:
                    raise SchemaError(
                        f"{file}: category {entry['id']} {entry['name']!r}, attribute {name!r}: "
                        "is not in attributes.yml; take all files from one release"
                    )
    for category in listed:
        above = category.rpartition("-")[0]
        if above and above not in names:
            raise SchemaError(
                f"{folder}: category {category} {names[category]!r} is below {above!r}, which is "
                "not there; take all files from one release"
            )
    return Release(values, attributes, names, listed)


def _entries(file: Path, values: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    content = load(file)
    if not isinstance(content, dict) or "base_attributes" not in content:
        raise SchemaError(f"{file}: has no `base_attributes`; is it the taxonomy's attributes.yml?")
    own = named_entries(file, content["base_attributes"], ("friendly_id", "name"), ("values",))
    extended = content.get("extended_attributes") or []
    base = {entry["friendly_id"]: entry for entry in own}
    attributes: dict[str, Mapping[str, Any]] = {}
    for entry in (*own, *named_entries(file, extended, ("friendly_id", "name", "values_from"))):
        source = base.get(entry.get("values_from", entry["friendly_id"]))
        unknown = [v for v in source["values"] if v not in values] if source else None
        if source is None or unknown:
            missing = unknown[0] if unknown else entry["values_from"]
            raise SchemaError(
                f"{file}: attribute {entry['name']!r}: refers to {missing!r}, which is not there; "
                "take all files from one release"
            )
        if not source["values"]:
            raise SchemaError(
                f"{file}: attribute {entry['name']!r}: needs at least one entry in `values`"
            )
        attributes[entry["friendly_id"]] = {
            "name": entry["name"],
            "description": entry.get("description") or "",
            "values": source["values"],
        }
    return attributes


def _full_name(category_id: str, names: Mapping[str, str]) -> str:
    """`aa-1-1` is a child of `aa-1`: the names from the root down."""
    parts = category_id.split("-")
    ancestors = ("-".join(parts[: depth + 1]) for depth in range(len(parts)))
    return PATH_SEPARATOR.join(names[ancestor] for ancestor in ancestors)
