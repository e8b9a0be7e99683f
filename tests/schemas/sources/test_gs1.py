"""GS1's classification: bricks are categories, attribute types are enums; as XML and as JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import SchemaError
from schemas.sources.gs1 import read_gs1
from tests.schemas.sources.reading import told, written

XML = """<?xml version="1.0" encoding="utf-8"?>
<schema languageCode="EN" dateUtc="1/1/2026">
 <segment code="1" text="Kitchen"><family code="2" text="Ware"><class code="3" text="Mugs">
  <brick code="10" text="Mugs with Handle" definition="To drink from" active="true">
   <attType code="20" text="Material" definition="What it is made of">
    <attValue code="30" text="CERAMIC"/><attValue code="31" text="STEEL"/>
    <attValue code="32" text="ASBESTOS" active="false"/>
    <attValue code="30002515" text="UNCLASSIFIED"/><attValue code="30002518" text="UNIDENTIFIED"/>
   </attType>
   <attType code="21" text="Empty"/>
  </brick>
  <brick code="11" text="Mugs without" active="false"/>
 </class></family></segment>
</schema>"""


def node(level: int, code: int, title: str, *below: Any, active: bool = True) -> dict[str, Any]:
    return {"Level": level, "Code": code, "Title": title, "Definition": None, "Active": active,
            "Childs": list(below)}  # fmt: skip


JSON = {
    "LanguageCode": "EN",
    "Schema": [
        node(1, 1, "Kitchen", node(2, 2, "Ware", node(
            3, 3, "Mugs",
            node(4, 10, "Mugs with Handle", node(
                5, 20, "Material", node(6, 30, "CERAMIC"), node(6, 31, "STEEL"),
                node(6, 32, "ASBESTOS", active=False), node(6, 30002515, "UNCLASSIFIED"),
                node(6, 30002518, "UNIDENTIFIED"),
            ), node(5, 21, "Empty")),
            node(4, 11, "Mugs without", active=False),
        ))),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    "content", [XML, json.dumps(JSON), "\ufeff" + XML], ids=["xml", "json", "bom"]
)
def test_a_brick_is_a_category_and_its_attribute_types_are_enums(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / "gpc").write_text(content, encoding="utf-8")
    schemas, built = written(read_gs1(tmp_path / "gpc"), tmp_path)
    (brick,) = schemas.values()
    assert brick.category == "Kitchen > Ware > Mugs > Mugs with Handle"
    assert [(a.name, a.values) for a in brick.attributes] == [("Material", ("CERAMIC", "STEEL"))]
    assert built.categories[0].made[0].codes == ("30", "31")
    assert told(built) == {
        "category is inactive": 1,
        "value is inactive": 1,
        "value says that nothing is known": 2,
        "attribute has no value that a schema can have": 1,
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("<catalog/>", "no <schema>"),
        ("<schema><segment>", "not XML"),
        ('<?xml version="1.0" encoding="utf-99"?><schema/>', "not XML: unknown encoding"),
        ("<schema/>", "no <schema> with <segment>s"),
        ('<schema><segment code="1" text="a"/></schema>', "has no bricks"),
        ("<a>" * 1_000_000, "more than 100 elements in one another"),
        ("[" * 1_000_000, "nested too deep"),
        ("{}", 'no list "Schema"'),
        ('{"Schema": [1]}', "no object of Level 1"),
        ('{"Schema": [{"Level": 2}]}', "no object of Level 1"),
        ('{"Schema": [{"Level": 1, "Childs": {}}]}', "has no bricks"),
        ('{"Schema": [{"Level": 1, "Childs": 5}]}', "no object of Level 1"),
        ("nonsense", "not JSON"),
    ],
)
def test_another_file_is_refused_in_a_sentence(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "gpc").write_text(content)
    with pytest.raises(SchemaError) as caught:
        read_gs1(tmp_path / "gpc")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
