"""What categories of the Shopify taxonomy were called in earlier releases, by its own mappings.

Read are both forms in which the taxonomy has them:

- `dist/en/integrations/shopify/shopify_FROM_to_shopify_TO.json`, and `all_mappings.json` beside it,
  which name each category by its id and its full name;
- `data/integrations/shopify/FROM/mappings/to_shopify.yml`, which has ids alone. The names stand in
  `FROM/full_names.yml`, by which a category that kept its id and changed its name is found as well.

A category that was split has no one successor, and so no alias. Several releases are bridged by
their files together: an id that is gone again is followed on.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.errors import SchemaError
from schemas.sources.shopify_files import entries, load

_PREFIX = "gid://shopify/TaxonomyCategory/"


def former_names(files: Iterable[Path], names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The former full names of each category, by its id.

    Args:
        files: mappings of earlier releases to later ones, in any order.
        names: the full names in force, by id.

    Raises:
        SchemaError: a file is missing or is none of the two forms.
    """
    former: list[tuple[str, str]] = []  # id and full name, as of any earlier release
    moved: dict[str, str | None] = {}  # to which id; None where there is no one successor
    for file in files:
        for identity, name, successors in _rules(file):
            former.append((identity, name))
            if successors is not None:
                moved[identity] = successors[0] if len(successors) == 1 else None
    in_force = set(names.values())
    found: defaultdict[str, set[str]] = defaultdict(set)
    for identity, name in former:
        now = _followed(identity, moved, names)
        if now is not None and name not in in_force:
            found[name].add(now)
    aliases: defaultdict[str, list[str]] = defaultdict(list)
    for name, ids in found.items():
        if len(ids) == 1:
            aliases[ids.pop()].append(name)
    return {identity: tuple(sorted(own)) for identity, own in aliases.items()}


def _followed(
    identity: str, moved: Mapping[str, str | None], names: Mapping[str, str]
) -> str | None:
    """The id in force of what `identity` was; None where it has none, or more than one."""
    seen: set[str] = set()
    now: str | None = moved.get(identity, identity)
    while now is not None and now not in names and now not in seen:
        seen.add(now)
        now = moved.get(now)
    return now if now in names else None


def _rules(file: Path) -> Iterator[tuple[str, str, list[str] | None]]:
    """Id and full name of before, and the ids of now; None where no rule speaks of the id."""
    content = load(file)
    if isinstance(content, dict) and "mappings" in content:
        for mapping in entries(file, content["mappings"], ("rules",)):
            taxonomies = (mapping.get("input_taxonomy"), mapping.get("output_taxonomy"))
            # all_mappings.json has those to other marketplaces, too.
            if all(str(one).startswith("shopify/") for one in taxonomies):
                for rule in entries(file, mapping["rules"], ("input", "output")):
                    yield _named_rule(file, rule)
    elif isinstance(content, dict) and "rules" in content:
        moved = dict(
            _bare_rule(file, rule) for rule in entries(file, content["rules"], ("input", "output"))
        )
        names = file.parent.parent / "full_names.yml"
        for entry in entries(names, load(names), ("id", "full_name")):
            identity = _id(entry["id"])
            yield identity, str(entry["full_name"]), moved.get(identity)
    else:
        raise SchemaError(
            f"{file}: has neither `mappings` nor `rules`; give a mappings file of the taxonomy, "
            "shopify_FROM_to_shopify_TO.json or to_shopify.yml"
        )


def _named_rule(file: Path, rule: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    try:
        before, after = rule["input"]["category"], rule["output"].get("category") or []
        return _id(before["id"]), str(before["full_name"]), [_id(one["id"]) for one in after]
    except (KeyError, TypeError, AttributeError):
        raise _wrong(file, rule) from None


def _bare_rule(file: Path, rule: Mapping[str, Any]) -> tuple[str, list[str]]:
    try:
        after = rule["output"].get("product_category_id") or []
        return _id(rule["input"]["product_category_id"]), [_id(one) for one in after]
    except (KeyError, TypeError, AttributeError):
        raise _wrong(file, rule) from None


def _wrong(file: Path, rule: Mapping[str, Any]) -> SchemaError:
    return SchemaError(
        f"{file}: the rule {str(rule)[:100]} maps no category to others; take the file from the "
        "taxonomy as it is"
    )


def _id(written: object) -> str:
    return str(written).removeprefix(_PREFIX)
