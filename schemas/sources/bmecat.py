"""The classification that a BMEcat file brings along, as a source of schemas.

- BMEcat 1.2 and 2005, `CLASSIFICATION_SYSTEM`: groups with
  `CLASSIFICATION_GROUP_FEATURE_TEMPLATES`, whose `FT_IDREF`s name the templates of the system, its
  units and its allowed values.
- BMEcat 1.2, `FEATURE_SYSTEM`: groups with `FEATURE_TEMPLATE`s, a name and a unit each.

Most files only name the groups of ETIM or ECLASS and bring none: then there is nothing to read.
Understood from the published BMEcat 1.2 and 2005 schemas.
"""

from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

from schemas.errors import SchemaError
from schemas.sources.etim_model import EtimClass, Feature, Words, source_of
from schemas.sources.files import child, elements
from schemas.sources.left_out import LeftOut
from schemas.sources.source import Source

_NUMBERS = ("number", "numeric", "integer", "float", "decimal", "real", "count")
_BOOLEANS = ("boolean", "logical", "bool")


@dataclass
class _System:
    """What was read so far; `parents` and `templates` by the id of a group, or of a template."""

    words: Words = field(default_factory=Words)
    parents: dict[str, str] = field(default_factory=dict)
    features: dict[str, list[tuple[int, Feature]]] = field(default_factory=dict)
    templates: dict[str, Feature] = field(default_factory=dict)


def read_bmecat(path: Path) -> Source:
    """The groups in `path` that are asked for something.

    Raises:
        SchemaError: the file cannot be read, is no BMEcat or brings no classification.
    """
    system = _System()
    for names, element in elements(path):
        if names[0] != "BMECAT":
            raise SchemaError(f"{path}: is <{names[0]}> and no <BMECAT>; give a BMEcat file")
        match names[-1]:
            case "UNIT":
                unit = child(element, "UNIT_SHORTNAME") or child(element, "UNIT_NAME")
                system.words.units[child(element, "UNIT_ID")] = unit
            case "ALLOWED_VALUE" if child(element, "ALLOWED_VALUE_ID"):
                code = child(element, "ALLOWED_VALUE_ID")
                system.words.values[code] = child(element, "ALLOWED_VALUE_NAME")
            case "CLASSIFICATION_SYSTEM_FEATURE_TEMPLATE":
                code = child(element, "FT_ID")
                system.words.features[code] = child(element, "FT_NAME")
                system.templates[code] = _feature(code, element)
            case "CLASSIFICATION_GROUP":
                _classification_group(system, element)
            case "FEATURE_GROUP":
                _feature_group(system, element)
            case "ARTICLE" | "PRODUCT":
                element.clear()
    classes = [
        EtimClass(code, system.parents.get(code, ""), _sorted(system, features))
        for code, features in system.features.items()
        if features
    ]
    if not classes:
        raise SchemaError(
            f"{path}: brings no classification with features along; give ETIM's own release"
        )
    return source_of(classes, system.words, LeftOut())


def _classification_group(system: _System, element: Element) -> None:
    code = child(element, "CLASSIFICATION_GROUP_ID")
    name = child(element, "CLASSIFICATION_GROUP_NAME")
    system.words.classes[code] = system.words.groups[code] = name
    system.parents[code] = child(element, "CLASSIFICATION_GROUP_PARENT_ID")
    found = []
    for one in element.iter():
        if one.tag.rpartition("}")[2] == "CLASSIFICATION_GROUP_FEATURE_TEMPLATE":
            order = child(one, "FT_ORDER")
            found.append(
                (int(order) if order.isdecimal() else 0, _feature(child(one, "FT_IDREF"), one))
            )
    system.features[code] = sorted(found, key=lambda pair: pair[0])


def _feature_group(system: _System, element: Element) -> None:
    code = child(element, "FEATURE_GROUP_ID")
    system.words.classes[code] = child(element, "FEATURE_GROUP_NAME")
    found = []
    for one in element:
        if one.tag.rpartition("}")[2] == "FEATURE_TEMPLATE":
            unit, order = child(one, "FT_UNIT"), child(one, "FT_ORDER")
            feature = Feature(child(one, "FT_NAME"), "N" if unit else "A", unit)
            found.append((int(order) if order.isdecimal() else 0, feature))
    system.features[code] = sorted(found, key=lambda pair: pair[0])


def _feature(code: str, template: Element) -> Feature:
    """A feature as a template has it; what it leaves open is empty."""
    values = [
        (one.text or "").strip()
        for one in template.iter()
        if one.tag.rpartition("}")[2] in ("ALLOWED_VALUE_IDREF", "VALUE_IDREF")
    ]
    unit = child(template, "FT_UNIT_IDREF") or child(template, "FT_UNIT")
    kind = child(template, "FT_DATATYPE").casefold()
    required = child(template, "FT_MANDATORY").casefold() == "true"
    if values:
        letter = "A"
    elif kind in _BOOLEANS:
        letter = "L"
    elif kind.startswith("range"):
        letter = "R"
    elif kind in _NUMBERS or unit:
        letter = "N"
    else:
        letter = "A" if kind else ""
    return Feature(code, letter, unit, values, required)


def _sorted(system: _System, features: list[tuple[int, Feature]]) -> list[Feature]:
    """The features of a group, with what the system's template says and the group does not."""
    found = []
    for _, own in features:
        template = system.templates.get(own.code, own)
        found.append(
            Feature(
                own.code,
                own.kind or template.kind or "A",
                own.unit or template.unit,
                own.values or template.values,
                own.required or template.required,
            )
        )
    return found
