"""ETIM's IXF, the XML that has all languages at once.

`<IXF>` with `Units`, `Features`, `Values`, `Groups` and `Classes`. Each entry has a `Code` and
`Translations/Translation[@language]` with a `Description` and, of a unit, an `Abbreviation`. A
class has a `GroupCode`, and `Features/Feature` with `FeatureCode`, `UnitCode`, `OrderNumber` and
`Values/Value/ValueCode`. Understood from programs that read it (namespace `…/etimixf/1`); what its
`changeCode` calls deleted or deprecated is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

from schemas.errors import SchemaError
from schemas.sources.etim_model import EtimClass, Feature, Words, source_of
from schemas.sources.files import child, elements
from schemas.sources.left_out import LeftOut
from schemas.sources.source import Source

DEFAULT_LANGUAGE = "en-GB"
_GONE = ("deleted", "deprecated", "removed")
_ENTRIES = {
    "IXF/Units/Unit": "units",
    "IXF/Features/Feature": "features",
    "IXF/Values/Value": "values",
    "IXF/Groups/Group": "groups",
    "IXF/Classes/Class": "classes",
}


def read_etim_ixf(path: Path, locale: str | None = None) -> Source:
    """The classes in `path`, in the words of `locale`, such as `de-DE` or `de`; English without it.

    A name that has no words in that language is English, and is counted.

    Raises:
        SchemaError: the file cannot be read, is no IXF, or knows no such language.
    """
    words, left_out = Words(), LeftOut()
    kinds: dict[str, str] = {}
    classes: list[EtimClass] = []
    languages: set[str] = set()
    for names, element in elements(path):
        if names[0] != "IXF":
            raise SchemaError(f"{path}: is <{names[0]}> and no <IXF>; give ETIM's IXF file")
        what = _ENTRIES.get("/".join(names))
        if what is None:
            continue
        code = child(element, "Code")
        said = _translations(element, "Abbreviation" if what == "units" else "Description")
        languages.update(said)
        own = _in_language(said, locale)
        english = _in_language(said, DEFAULT_LANGUAGE) or _in_language(said, "en")
        if locale is not None and not own and english:
            words.untranslated.add(code)
        getattr(words, what)[code] = own or english or next(iter(said.values()), "")
        if what == "features":
            kinds[code] = child(element, "Type")
        elif what == "classes":
            if _is_gone(element):
                left_out.note("category", "is deleted", code)
            else:
                classes.append(_class(code, element))
        element.clear()
    if not classes:
        raise SchemaError(f"{path}: has no classes; give ETIM's IXF file with them")
    if locale is not None and not any(_speaks(one, locale) for one in languages):
        raise SchemaError(
            f"{path}: knows no language {locale!r}; it has {', '.join(sorted(languages)[:20])}"
        )
    return source_of([_with_kinds(one, kinds) for one in classes], words, left_out)


def _class(code: str, element: Element) -> EtimClass:
    found: list[tuple[int, Feature]] = []
    left_out: list[tuple[str, str, str]] = []
    for feature in _below(element, "Features", "Feature"):
        name = child(feature, "FeatureCode")
        if _is_gone(feature):
            left_out.append(("attribute", "is deleted", f"{code}: {name}"))
            continue
        values: list[tuple[int, str]] = []
        for value in _below(feature, "Values", "Value"):
            if _is_gone(value):
                left_out.append(
                    ("value", "is deleted", f"{code}: {name}: {child(value, 'ValueCode')}")
                )
            else:
                values.append((_order(value), child(value, "ValueCode")))
        values.sort(key=lambda one: one[0])
        codes = [value for _, value in values]
        found.append((_order(feature), Feature(name, "", child(feature, "UnitCode"), codes)))
    found.sort(key=lambda one: one[0])
    features = [feature for _, feature in found]
    return EtimClass(code, child(element, "GroupCode"), features, left_out)


def _with_kinds(one: EtimClass, kinds: Mapping[str, str]) -> EtimClass:
    """The types stand with the features, which may come after the classes."""
    features = [replace(f, kind=kinds.get(f.code, "")) for f in one.features]
    return replace(one, features=features)


def _below(element: Element, group: str, name: str) -> Iterator[Element]:
    for one in element:
        if one.tag.rpartition("}")[2] == group:
            yield from (part for part in one if part.tag.rpartition("}")[2] == name)


def _translations(element: Element, first: str) -> dict[str, str]:
    return {
        one.get("language", ""): child(one, first) or child(one, "Description")
        for one in _below(element, "Translations", "Translation")
    }


def _in_language(said: Mapping[str, str], locale: str | None) -> str:
    """What is said in `locale`; empty where nothing is."""
    if locale is None:
        return ""
    spoken = (words for language, words in said.items() if words and _speaks(language, locale))
    return said.get(locale) or next(spoken, "")


def _speaks(language: str, locale: str) -> bool:
    """Whether `language` (`de-DE`) is the one that is meant by `locale` (`de`, `de-DE`)."""
    have, want = (one.replace("_", "-").casefold() for one in (language, locale))
    return have == want or have.partition("-")[0] == want


def _is_gone(element: Element) -> bool:
    return element.get("changeCode", "").strip().casefold() in _GONE


def _order(element: Element) -> int:
    written = child(element, "OrderNumber")
    return int(written) if written.isdecimal() else 0
