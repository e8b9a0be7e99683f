"""GS1's Global Product Classification (GPC) as a source of schemas: its XML, or its JSON.

XML: `<schema><segment><family><class><brick><attType><attValue>`, each with `code`, `text`,
`definition` and `active`. JSON: `{"LanguageCode": …, "Schema": [{"Level": 1, "Code": …, "Title": …,
"Definition": …, "Active": true, "Childs": […]}]}`, where levels 1 to 6 are the same six. Understood
from GS1's GPC browser and its downloads (gpc-browser.gs1.org).

A brick is a category, an attribute type an enum. What is inactive is left out, and so are the
values UNCLASSIFIED and UNIDENTIFIED, which say that nothing is known.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from schemas.category import AttributeType
from schemas.errors import SchemaError
from schemas.sources.drafts import Draft, Value
from schemas.sources.files import elements, head_of, loaded
from schemas.sources.left_out import LeftOut
from schemas.sources.source import Source, SourceCategory

_LEVELS = ("segment", "family", "class", "brick", "attType", "attValue")
_BRICK, _ATTRIBUTE, _VALUE = 4, 5, 6
_KINDS = {_ATTRIBUTE: "attribute", _VALUE: "value"}
_SAYS_NOTHING = frozenset(("30002515", "30002518"))


@dataclass(slots=True)
class _Node:
    level: int
    code: str
    title: str
    definition: str = ""
    active: bool = True
    children: list["_Node"] = field(default_factory=list)


def read_gs1(path: Path) -> Source:
    """The bricks in `path`.

    Raises:
        SchemaError: the file cannot be read, or is no GPC.
    """
    is_xml = head_of(path).lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")
    roots = _xml_roots(path) if is_xml else _json_roots(path)
    left_out = LeftOut()
    bricks = [
        SourceCategory(brick.code, names, partial(_drafts, brick, left_out))
        for root in roots
        for names, brick in _bricks(root, (), left_out)
    ]
    if not bricks:
        raise SchemaError(f"{path}: has no bricks; give GS1's GPC as XML or JSON")
    return Source(bricks, left_out)


def _bricks(
    node: _Node, above: tuple[str, ...], left_out: LeftOut
) -> Iterator[tuple[tuple[str, ...], _Node]]:
    names = (*above, node.title)
    if not node.active:
        left_out.note(_KINDS.get(node.level, "category"), "is inactive", node.title)
    elif node.level == _BRICK:
        yield names, node
    else:
        for child in node.children:
            yield from _bricks(child, names, left_out)


def _drafts(brick: _Node, left_out: LeftOut) -> Iterable[Draft]:
    for attribute in brick.children:
        where = f"{brick.title}: {attribute.title}"
        if not attribute.active:
            left_out.note("attribute", "is inactive", where)
            continue
        values = []
        for value in attribute.children:
            if not value.active:
                left_out.note("value", "is inactive", f"{where}: {value.title}")
            elif value.code in _SAYS_NOTHING:
                left_out.note("value", "says that nothing is known", f"{where}: {value.title}")
            else:
                values.append(Value(value.code, value.title))
        # Catalogs are exchanged with the codes.
        fields = {"description": attribute.definition, "aliases": (attribute.code,)}
        yield Draft(attribute.code, attribute.title, AttributeType.ENUM, values, fields)


def _xml_roots(path: Path) -> list[_Node]:
    roots: list[_Node] = []
    open_nodes: dict[int, list[_Node]] = {}
    for names, element in elements(path):
        if names[0] != "schema" and len(names) == 1:
            break
        if len(names) == 1 or names[-1] not in _LEVELS:
            continue
        level = _LEVELS.index(names[-1]) + 1
        node = _of_element(element, level, open_nodes.pop(level + 1, []))
        open_nodes.setdefault(level, []).append(node)
        element.clear()
        if level == 1:
            roots += open_nodes.pop(1)
    if not roots:
        raise SchemaError(
            f"{path}: has no <schema> with <segment>s; give GS1's GPC as XML or as JSON"
        )
    return roots


def _of_element(element: Element, level: int, children: list[_Node]) -> _Node:
    active = element.get("active", "true").strip().casefold() not in ("false", "0", "no")
    return _Node(
        level,
        element.get("code", "").strip(),
        element.get("text", "").strip(),
        element.get("definition", "").strip(),
        active,
        children,
    )


def _json_roots(path: Path) -> list[_Node]:
    content = loaded(path)
    segments = content.get("Schema") if isinstance(content, dict) else None
    if not isinstance(segments, list):
        raise SchemaError(
            f'{path}: has no list "Schema" of segments; give GS1\'s GPC as JSON or as XML'
        )
    return [_of_object(one, 1, path) for one in segments]


def _of_object(entry: Any, level: int, path: Path) -> _Node:
    below = entry.get("Childs") or [] if isinstance(entry, dict) else None
    if not isinstance(below, list) or entry.get("Level") != level:
        raise SchemaError(
            f"{path}: {str(entry)[:60]!r} is no object of Level {level}; give GS1's GPC as it is"
        )
    children = [_of_object(one, level + 1, path) for one in below] if level < _VALUE else []
    title, definition = str(entry.get("Title") or ""), str(entry.get("Definition") or "")
    return _Node(
        level,
        str(entry.get("Code") or ""),
        title.strip(),
        definition.strip(),
        entry.get("Active") is not False,
        children,
    )
