"""ETIM's classes and features, from its CSV release, its IXF and a BMEcat file."""

import zipfile
from pathlib import Path

import pytest

from schemas.category import AttributeType
from schemas.errors import SchemaError
from schemas.sources.etim import read_etim
from tests.schemas.sources.reading import told, written

TABLES = {
    "ETIMARTGROUP.csv": "ARTGROUPID;GROUPDESC\nEG1;Switches\n",
    "ETIMARTCLASS.csv": "ARTCLASSID;ARTGROUPID;ARTCLASSDESC\nEC1;EG1;Dimmer\n",
    "ETIMFEATURE.csv": (
        'FEATUREID;FEATUREDESC\nEF1;Material\nEF2;"With ""LED"""\n'
        "EF3;Power\nEF4;Voltage\nEF5;Type\n"
    ),
    "ETIMVALUE.csv": "VALUEID;VALUEDESC\nEV1;Steel\nEV2;Plastic\n",
    "ETIMUNIT.csv": "UNITOFMEASID;UNITDESC\nEU1;W\nEU2;V\n",
    "ETIMARTCLASSFEATUREMAP.csv": (
        "ARTCLASSFEATURENR;ARTCLASSID;FEATUREID;FEATURETYPE;UNITOFMEASID;SORTNR\n"
        "1;EC1;EF1;A;;2\n2;EC1;EF2;L;;1\n3;EC1;EF3;N;EU1;3\n4;EC1;EF4;R;EU2;4\n5;EC1;EF5;X;;5\n"
    ),
    "ETIMARTCLASSFEATUREVALUEMAP.csv": "ARTCLASSFEATURENR;VALUEID;SORTNR\n1;EV2;2\n1;EV1;1\n",
}


def words(code: str, english: str, german: str = "", tag: str = "Description") -> str:
    said = f'<Translation language="en-GB"><{tag}>{english}</{tag}></Translation>'
    if german:
        said += f'<Translation language="de-DE"><{tag}>{german}</{tag}></Translation>'
    return f"<Code>{code}</Code><Translations>{said}</Translations>"


IXF = f"""<?xml version="1.0"?><IXF xmlns="http://www.etim-international.com/etimixf/1">
<Units><Unit>{words("EU1", "W", tag="Abbreviation")}</Unit></Units>
<Classes>
 <Class>{words("EC1", "Dimmer", "Dimmer (de)")}<GroupCode>EG1</GroupCode><Features>
  <Feature changeCode="New"><FeatureCode>EF1</FeatureCode><OrderNumber>2</OrderNumber><Values>
   <Value><ValueCode>EV1</ValueCode><OrderNumber>1</OrderNumber></Value>
   <Value changeCode="Deleted"><ValueCode>EV2</ValueCode></Value></Values></Feature>
  <Feature><FeatureCode>EF3</FeatureCode><UnitCode>EU1</UnitCode><OrderNumber>1</OrderNumber></Feature>
 </Features></Class>
</Classes>
<Groups><Group>{words("EG1", "Switches", "Schalter")}</Group></Groups>
<Features><Feature>{words("EF1", "Material", "Werkstoff")}<Type>Alphanumeric</Type></Feature>
 <Feature>{words("EF3", "Power")}<Type>Numeric</Type></Feature></Features>
<Values><Value>{words("EV1", "Steel", "Stahl")}</Value><Value>{words("EV2", "Tin")}</Value></Values>
</IXF>"""

BMECAT = """<?xml version="1.0"?><BMECAT version="2005"><T_NEW_CATALOG><CLASSIFICATION_SYSTEM>
<ALLOWED_VALUES><ALLOWED_VALUE><ALLOWED_VALUE_ID>v1</ALLOWED_VALUE_ID>
<ALLOWED_VALUE_NAME>red</ALLOWED_VALUE_NAME></ALLOWED_VALUE></ALLOWED_VALUES>
<UNITS><UNIT><UNIT_ID>u1</UNIT_ID><UNIT_SHORTNAME>mm</UNIT_SHORTNAME></UNIT></UNITS>
<CLASSIFICATION_SYSTEM_FEATURE_TEMPLATES>
 <CLASSIFICATION_SYSTEM_FEATURE_TEMPLATE><FT_ID>f1</FT_ID><FT_NAME>Colour</FT_NAME>
 </CLASSIFICATION_SYSTEM_FEATURE_TEMPLATE>
 <CLASSIFICATION_SYSTEM_FEATURE_TEMPLATE><FT_ID>f2</FT_ID><FT_NAME>Width</FT_NAME>
  <FT_DATATYPE>number</FT_DATATYPE></CLASSIFICATION_SYSTEM_FEATURE_TEMPLATE>
</CLASSIFICATION_SYSTEM_FEATURE_TEMPLATES>
<CLASSIFICATION_GROUPS>
 <CLASSIFICATION_GROUP type="node"><CLASSIFICATION_GROUP_ID>g0</CLASSIFICATION_GROUP_ID>
  <CLASSIFICATION_GROUP_NAME>Lamps</CLASSIFICATION_GROUP_NAME></CLASSIFICATION_GROUP>
 <CLASSIFICATION_GROUP type="leaf"><CLASSIFICATION_GROUP_ID>g1</CLASSIFICATION_GROUP_ID>
  <CLASSIFICATION_GROUP_NAME>Desk lamps</CLASSIFICATION_GROUP_NAME>
  <CLASSIFICATION_GROUP_FEATURE_TEMPLATES>
   <CLASSIFICATION_GROUP_FEATURE_TEMPLATE><FT_IDREF>f2</FT_IDREF><FT_MANDATORY>true</FT_MANDATORY>
    <FT_UNIT_IDREF>u1</FT_UNIT_IDREF><FT_ORDER>2</FT_ORDER></CLASSIFICATION_GROUP_FEATURE_TEMPLATE>
   <CLASSIFICATION_GROUP_FEATURE_TEMPLATE><FT_IDREF>f1</FT_IDREF><FT_ORDER>1</FT_ORDER>
    <FT_ALLOWED_VALUES><ALLOWED_VALUE_IDREF>v1</ALLOWED_VALUE_IDREF></FT_ALLOWED_VALUES>
   </CLASSIFICATION_GROUP_FEATURE_TEMPLATE>
  </CLASSIFICATION_GROUP_FEATURE_TEMPLATES>
  <CLASSIFICATION_GROUP_PARENT_ID>g0</CLASSIFICATION_GROUP_PARENT_ID></CLASSIFICATION_GROUP>
</CLASSIFICATION_GROUPS></CLASSIFICATION_SYSTEM></T_NEW_CATALOG></BMECAT>"""

ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
BOMB = f'<!DOCTYPE IXF [<!ENTITY e0 "ha">{ENTITIES}]><IXF>&e11;</IXF>'

OLD_BMECAT = """<BMECAT version="1.2"><T_NEW_CATALOG><FEATURE_SYSTEM><FEATURE_GROUP>
<FEATURE_GROUP_ID>g1</FEATURE_GROUP_ID><FEATURE_GROUP_NAME>Desk lamps</FEATURE_GROUP_NAME>
<FEATURE_TEMPLATE type="free_entry"><FT_NAME>Width</FT_NAME><FT_UNIT>mm</FT_UNIT></FEATURE_TEMPLATE>
<FEATURE_TEMPLATE type="free_entry"><FT_NAME>Colour</FT_NAME></FEATURE_TEMPLATE>
</FEATURE_GROUP></FEATURE_SYSTEM></T_NEW_CATALOG></BMECAT>"""


def release(folder: Path, encoding: str = "utf-16", **changed: str) -> Path:
    folder.mkdir()
    for name, content in (TABLES | {f"{k}.csv": v for k, v in changed.items()}).items():
        (folder / name).write_text(content, encoding=encoding)
    return folder


@pytest.mark.parametrize("form", ["folder", "zip", "utf-8"])
def test_a_class_of_the_csv_release_is_asked_for_its_features_in_their_order(
    tmp_path: Path, form: str
) -> None:
    path = release(tmp_path / "etim", "utf-8-sig" if form == "utf-8" else "utf-16")
    if form == "zip":
        with zipfile.ZipFile(tmp_path / "etim.zip", "w") as archive:
            for file in path.iterdir():
                archive.write(file, f"release/{file.name}")
        path = tmp_path / "etim.zip"
    schemas, built = written(read_etim(path), tmp_path)
    (dimmer,) = schemas.values()
    assert dimmer.category == "Switches > Dimmer"
    assert [(a.name, a.type.value) for a in dimmer.attributes] == [
        ('With "LED"', "boolean"),
        ("Material", "enum"),
        ("Power", "number"),
        ("Voltage (min)", "number"),
        ("Voltage (max)", "number"),
    ]
    assert dimmer.by_name["Material"].values == ("Steel", "Plastic")
    assert dimmer.by_name["Voltage (max)"].units == ("V",)
    assert built.categories[0].id == "EC1"
    assert [made.id for made in built.categories[0].made][:2] == ["EF2", "EF1"]
    assert dimmer.find("EF1") is dimmer.by_name["Material"]
    assert told(built) == {
        "attribute is a range: it is asked for as two numbers": 1,
        "attribute is of an unknown type 'X'": 1,
    }


def test_an_ixf_is_english_and_leaves_out_what_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "ixf.xml").write_text(IXF)
    schemas, built = written(read_etim(tmp_path / "ixf.xml"), tmp_path)
    power, material = schemas["Switches > Dimmer"].attributes
    assert (power.name, power.units) == ("Power", ("W",))
    assert (material.name, material.values) == ("Material", ("Steel",))
    assert told(built) == {"value is deleted": 1}


@pytest.mark.parametrize("locale", ["de-DE", "de", "de_DE"])
def test_an_ixf_in_another_language_keeps_what_has_no_words_english_and_counts_it(
    tmp_path: Path, locale: str
) -> None:
    (tmp_path / "ixf.xml").write_text(IXF)
    schemas, built = written(read_etim(tmp_path / "ixf.xml", locale), tmp_path)
    power, material = schemas["Schalter > Dimmer (de)"].attributes
    assert (power.name, material.name, material.values) == ("Power", "Werkstoff", ("Stahl",))
    assert told(built)["name has no words in this language: it stays English"] == 2  # EF3, EU1


def test_a_bmecat_files_own_classification_is_read(tmp_path: Path) -> None:
    (tmp_path / "catalog.xml").write_text(BMECAT)
    schemas, _ = written(read_etim(tmp_path / "catalog.xml"), tmp_path)
    colour, width = schemas["Lamps > Desk lamps"].attributes
    assert (colour.name, colour.values, colour.required) == ("Colour", ("red",), False)
    assert (width.type, width.units, width.required) == (AttributeType.NUMBER, ("mm",), True)


def test_the_feature_groups_of_an_older_bmecat_are_read(tmp_path: Path) -> None:
    (tmp_path / "catalog.xml").write_text(OLD_BMECAT)
    schemas, _ = written(read_etim(tmp_path / "catalog.xml"), tmp_path)
    assert [(a.name, a.type.value) for a in schemas["Desk lamps"].attributes] == [
        ("Width", "number"),
        ("Colour", "text"),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("a;b\n1;2\n", "neither XML nor a zip"),
        ("<schema/>", "is <schema> and no <IXF>"),
        ("<IXF/>", "has no classes"),
        ("<IXF><Classes>", "not XML"),
        ("<IXF>" * 1_000_000, "more than 100 elements"),
        ("<BMECAT><T_NEW_CATALOG/></BMECAT>", "brings no classification"),
        (BOMB, "not XML"),
        ("PK\x03\x04 broken", "give the zip as it was downloaded"),
    ],
)
def test_another_file_is_refused_in_a_sentence(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "file").write_text(content)
    with pytest.raises(SchemaError) as caught:
        read_etim(tmp_path / "file")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_or_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = release(tmp_path / "etim", ETIMUNIT="A,B\n1,2\n")
    with pytest.raises(SchemaError, match=r"ETIMUNIT\.csv: has no column UNITOFMEASID"):
        read_etim(folder)
    (folder / "ETIMUNIT.csv").unlink()
    with pytest.raises(SchemaError, match=r"ETIMUNIT\.csv is missing"):
        read_etim(folder)


def test_a_language_that_a_file_lacks_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    (tmp_path / "ixf.xml").write_text(IXF)
    with pytest.raises(SchemaError, match="no language 'fr'; it has de-DE, en-GB"):
        read_etim(tmp_path / "ixf.xml", "fr")
    with pytest.raises(SchemaError, match="leave --locale out"):
        read_etim(release(tmp_path / "etim"), "de")
