"""An induced schema is read back by the schema's own reader, whatever the catalog has."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.induction.files import products_in, write_schema
from infra.induction.induce import induce
from infra.induction.limits import Limits
from schemas.sources.json_schema import read_schemas

SHARED = Path(__file__).parents[4] / "shared" / "data"
HARD = st.sampled_from(
    ["", " ", "|", "a|b", "a\nb", "\u200b", "\ud800", "N/A", "yes", "No", "007", "1.200", "1,5",
     "5 cm", "5 CM", "5 MW", "5 mW", "½ in", "-3 °C", "(a+)+", "A)*-1", "[0-9]+", "2024-02-30",
     "2024-02-29", "ＲＥＤ", "red", "9" * 60, "x" * 600, "ß", "ẞ", "0", "-0", "5 |", "1 -", "1e400"]
)  # fmt: skip
TEXT = HARD | st.text(max_size=12)
CATEGORY = st.sampled_from(["A", "A > B", "A > B > C", " > ", " ", "\ud800", "A\nB"]) | st.text(
    max_size=4
)
NAME = st.sampled_from(["Color", "EAN", "Weight"]) | TEXT
VALUES = TEXT | st.lists(TEXT | st.integers() | st.none(), max_size=12) | st.integers() | st.none()
ENTRY = st.fixed_dictionaries(
    {"category": CATEGORY | st.none(), "catalog": st.dictionaries(NAME, VALUES, max_size=4)}
)
EAGER = Limits(
    enough=2, repeats=1.0, fewest=1, cut_from=3, several=0.0, coded=1, bounded=1, distinct=5
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(ENTRY, max_size=12), st.sampled_from([Limits(), EAGER, Limits(kept=5)]))
def test_whatever_is_induced_is_read_back_as_it_was_decided(
    entries: list[dict[str, object]], limits: Limits
) -> None:
    induction = induce(lambda: entries, limits)
    with TemporaryDirectory() as folder:
        write_schema(Path(folder) / "schema.json", induction)
        assert dict(read_schemas(Path(folder) / "schema.json")) == induction.schemas


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=30))
def test_what_the_notes_say_is_left_out_is_no_more_than_there_is(values: list[str]) -> None:
    entries = [{"category": "A", "catalog": {"X": [value]}} for value in values]
    induction = induce(lambda: entries, EAGER)
    assert 0 <= induction.lost <= induction.values


def test_the_notes_say_why_from_whom_and_at_what_cost(tmp_path: Path) -> None:
    colors = ["red"] * 50 + ["blue"] * 48 + ["sky", "rose"]
    entries = [{"category": "K > Mugs", "catalog": {"Color": color}} for color in colors]
    entries.append({"category": "K > Pots", "catalog": {"Color": "red", "": "x"}})
    write_schema(tmp_path / "schema.json", induce(lambda: entries))
    content = json.loads((tmp_path / "schema.json").read_text(encoding="utf-8"))
    (mugs,) = content["K > Mugs"]["attributes"]
    assert mugs["cost"] == {
        "values": 100,
        "left_out": 2,
        "reasons": {"not_allowed": 2},
        "examples": ["sky", "rose"],
    }
    assert mugs["why"] == "2 values are 98% of what was seen; 2 rare ones are cut off"
    assert content["K > Pots"]["attributes"][0]["taken_from"] == "K"
    assert content["K > Pots"]["left_out"][0]["name"] == ""


def test_another_schema_that_stood_there_is_kept(tmp_path: Path) -> None:
    schema, before = tmp_path / "schema.json", tmp_path / "schema.json.before"
    schema.write_text("edited by hand", encoding="utf-8")
    induction = induce(lambda: [{"category": "A", "catalog": {"Color": "red"}}])
    write_schema(schema, induction)
    write_schema(schema, induction)
    assert before.read_text(encoding="utf-8") == "edited by hand"
    assert list(read_schemas(schema)) == ["A"]


def test_products_are_taken_as_those_who_read_a_catalog_take_them(tmp_path: Path) -> None:
    lines = [
        {"product_id": 1, "category": "mugs ", "title": "Mug", "catalog": {"Size": [3, None]}},
        {"product_id": "2", "category": "Mugs", "title": "Mug", "catalog": {"Lid": True, "X": {}}},
        {"product_id": "3", "category": "Mugs"},
    ]
    path = tmp_path / "products.jsonl"
    path.write_text("\ufeff" + "\n".join(map(json.dumps, lines)) + "\n{\n", encoding="utf-8")
    wrong: list[int] = []
    entries = list(products_in(path, wrong.append))
    assert [(one["category"], one["catalog"]) for one in entries] == [
        ("mugs", {"Size": ["3"]}),
        ("mugs", {"Lid": ["yes"], "X": []}),
    ]
    assert wrong == [3, 4]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "legal", "same"), [("flipkart", 0.97, 0.8), ("wdc_pave", 0.97, 0.6)]
)
def test_real_catalogs_keep_their_values_and_most_types_of_the_schemas_beside_them(
    name: str, legal: float, same: float, tmp_path: Path
) -> None:
    catalog = SHARED / name / "listings.jsonl"
    if not catalog.exists():
        pytest.skip(f"the real catalog {name} is not here (../shared/data/{name})")
    induction = induce(lambda: products_in(catalog))
    write_schema(tmp_path / "schema.json", induction)
    ours, theirs = (
        read_schemas(tmp_path / "schema.json"),
        read_schemas(SHARED / name / "schema.json"),
    )
    pairs = [
        (attribute.type, ours[category].find(attribute.name))
        for category, schema in theirs.items()
        for attribute in schema.attributes
    ]
    agreed = sum(found is not None and found.type is kind for kind, found in pairs)
    assert 1 - induction.lost / induction.values >= legal
    assert agreed / len(pairs) >= same
