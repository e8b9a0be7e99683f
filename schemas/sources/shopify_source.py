"""The Shopify taxonomy as a source of schemas, in English or in the words of a localisation.

`data/localizations/{categories,attributes,values}/LOCALE.yml` hold
`LOCALE: {attributes: {friendly_id: {name, description}}}`, and categories and values in the same
way. What has no translation stays English, and is counted. A translated category keeps its English
name as an alias, so that a catalog in either language finds it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from schemas.category import AttributeType
from schemas.errors import SchemaError
from schemas.sources.drafts import Draft, Value
from schemas.sources.left_out import LeftOut
from schemas.sources.shopify import Release, read_release
from schemas.sources.shopify_files import load
from schemas.sources.shopify_mappings import former_names
from schemas.sources.source import Source, SourceCategory

_KINDS = ("categories", "attributes", "values")
_GID = "gid://shopify/TaxonomyCategory/"


@dataclass(frozen=True)
class Translation:
    """The words of a localisation by kind and id; of an attribute `description`, too."""

    locale: str | None = None
    words: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)

    def name(self, kind: str, identity: str, english: str, left_out: LeftOut) -> str:
        """What `identity` is called; English where it has no translation."""
        if self.locale is None:
            return english
        own = self.words[kind].get(identity, {}).get("name")
        if not isinstance(own, str) or not own.strip():
            left_out.note("name", f"has no words in {self.locale}: it stays English", english)
            return english
        return own

    def description(self, identity: str, english: str) -> str:
        """What an attribute is for."""
        own = self.words.get("attributes", {}).get(identity, {}).get("description")
        return own if isinstance(own, str) and own.strip() else english


def read_shopify(
    folder: Path,
    locale: str | None = None,
    multi_value: bool = True,
    mappings: Sequence[Path] = (),
) -> Source:
    """The categories of the taxonomy whose `data` folder is `folder`.

    Args:
        locale: a localisation, such as `de` or `pt-BR`; None is English.
        multi_value: whether an attribute takes several values.
        mappings: the taxonomy's own files that map earlier releases to this one.

    Raises:
        SchemaError: a file is missing or wrong, or there is no such localisation.
    """
    folder = _data(folder)
    release = read_release(folder)
    english = release.full_names()
    former = former_names(mappings, english)
    translation = _translation(folder / "localizations", locale)
    left_out = LeftOut()
    unread = LeftOut()  # of all categories; those that are made count in their drafts
    words = {
        identity: translation.name("categories", identity, name, unread)
        for identity, name in release.names.items()
    }
    categories = []
    for identity in release.listed:
        path = tuple(words[above] for above in _down_to(identity))
        before = former.get(identity, ())
        if locale is not None:
            before = (english[identity], *before)
        drafts = partial(_drafts, identity, release, translation, multi_value, left_out)
        also = (f"{_GID}{identity}",)
        categories.append(SourceCategory(identity, path, drafts, also, before))
    return Source(categories, left_out)


def _data(folder: Path) -> Path:
    """The `data` folder itself, also where what has it is given."""
    inner = folder / "data"
    return inner if not (folder / "values.yml").exists() and inner.is_dir() else folder


def _down_to(identity: str) -> list[str]:
    parts = identity.split("-")
    return ["-".join(parts[: depth + 1]) for depth in range(len(parts))]


def _drafts(
    identity: str,
    release: Release,
    translation: Translation,
    multi_value: bool,
    left_out: LeftOut,
) -> Iterable[Draft]:
    translation.name("categories", identity, release.names[identity], left_out)
    for friendly_id in release.listed[identity]:
        entry = release.attributes[friendly_id]
        name = translation.name("attributes", friendly_id, entry["name"], left_out)
        values = [
            Value(value, translation.name("values", value, release.values[value], left_out))
            for value in entry["values"]
        ]
        fields = {
            "multi_value": multi_value,
            "description": translation.description(friendly_id, entry["description"]),
        }
        yield Draft(friendly_id, name, AttributeType.ENUM, values, fields)


def _translation(folder: Path, locale: str | None) -> Translation:
    if locale is None or locale == "en":
        return Translation()
    known = sorted(file.stem for file in (folder / "attributes").glob("*.yml"))
    if not known:
        raise SchemaError(
            f"{folder}: has no localisations; take the taxonomy's whole `data` folder, or leave "
            "--locale out"
        )
    wanted = locale.replace("_", "-").casefold()
    chosen = next((one for one in known if one.casefold() == wanted), None)
    if chosen is None:
        raise SchemaError(f"{folder}: has no {locale!r}; it has {', '.join(known)}")
    return Translation(
        chosen, {kind: _words(folder / kind / f"{chosen}.yml", chosen, kind) for kind in _KINDS}
    )


def _words(file: Path, locale: str, kind: str) -> Mapping[str, Mapping[str, Any]]:
    content = load(file)
    inner = content.get(locale) if isinstance(content, dict) else None
    found = inner.get(kind) if isinstance(inner, dict) else None
    if not isinstance(found, dict):
        raise SchemaError(
            f"{file}: has no `{locale}: {{{kind}: …}}`; take the file from the taxonomy as it is"
        )
    return {str(key): entry for key, entry in found.items() if isinstance(entry, dict)}
