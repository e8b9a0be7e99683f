"""A check: what a catalog could teach, counted by category and attribute, worst fault first."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.catalogs.catalog import read_products
from infra.checkup.lengths import Lengths, base_vocabulary
from infra.checkup.measuring import Rejections, measure
from infra.checkup.mentions import stands_in
from infra.checkup.needs import Needs
from infra.checkup.page import write_check
from infra.checkup.report import AttributeCheck, CheckReport
from infra.checkup.tables import catalog_lines, print_check, verdict
from infra.local.settings import LocalSettings
from schemas.sources.json_schema import read_schemas

SCHEMA: dict[str, Any] = {
    "Home > Mugs": {
        "attributes": [
            {"name": "Colour", "type": "enum", "values": ["red", "blue"]},
            {"name": "Size", "type": "number", "units": ["ml", "cm"]},
            {"name": "Dishwasher", "type": "boolean"},
            {"name": "Note", "type": "text", "max_length": 200},
        ]
    },
    "Home > Lamps": {"attributes": [{"name": "Colour", "type": "text"}]},
}
NEEDS = Needs(
    heldout_share=0.3, rounds=2, k=4, judges=3, judges_most=9, group_share=1.0, most_rejected=0.1
)


def name(number: int) -> str:
    """A title that is like no other."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:20]


def line(number: int, **fields: Any) -> dict[str, Any]:
    own = {"product_id": f"p{number}", "category": "Home > Mugs", "title": f"{name(number)} red"}
    return own | {"catalog": {"Colour": "red"}} | fields


def checked(
    folder: Path,
    *lines: dict[str, Any] | str,
    needs: Needs = NEEDS,
    alternatives: bool = False,
) -> CheckReport:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in lines]
    (folder / "products.jsonl").write_text("\n".join(texts) + "\n")
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    schemas = read_schemas(folder / "schema.json", alternatives)
    rejections = Rejections()
    reading = read_products(folder / "products.jsonl", schemas, alternatives, told=rejections)
    lengths = Lengths(None, 32)
    return measure(reading, folder / "schema.json", schemas, rejections, lengths, needs)


def row(report: CheckReport, attribute: str) -> AttributeCheck:
    return next(one for one in report.attributes if one.attribute == attribute)


def test_a_catalog_without_faults_is_ready(tmp_path: Path) -> None:
    report = checked(tmp_path, *[line(n) for n in range(40)])
    assert (report.ready, report.stop, verdict(report)) == (True, None, "ready")
    assert report.split.judges + report.split.teachers == 40
    assert report.empty_categories == 1


def test_each_attribute_has_its_counts(tmp_path: Path) -> None:
    catalog = {"Colour": "blue", "Size": "300 ml", "Dishwasher": True, "Note": "long and red"}
    report = checked(
        tmp_path, *[line(n) for n in range(40)], line(41, catalog=catalog, description="300ml")
    )
    colour, size = row(report, "Colour"), row(report, "Size")
    assert (colour.products, colour.filled, colour.distinct) == (41, 41, 2)
    assert (colour.longest, colour.longest_value, colour.in_text) == (4, "blue", 40)
    assert (size.filled, size.in_text) == (1, 1)
    assert row(report, "Dishwasher").in_text is None
    assert row(report, "Note").in_text == 0


def test_only_products_that_are_asked_for_an_attribute_count_for_it(tmp_path: Path) -> None:
    catalog = {"Colour": "red", "Note": "n"}
    lines = [line(n, catalog=catalog, requested=["Colour", "Note"][: n % 2 + 1]) for n in range(40)]
    note = row(checked(tmp_path, *lines), "Note")
    assert (note.products, note.filled) == (20, 20)


def test_of_alternative_spellings_the_first_is_the_answer_and_any_may_stand_in_the_text(
    tmp_path: Path,
) -> None:
    lines = [line(n, catalog={"Note": ["crimson", "red"]}) for n in range(40)]
    note = row(checked(tmp_path, *lines, alternatives=True), "Note")
    assert (note.longest_value, note.longest) == ("crimson", len("crimson"))
    assert (note.values, note.in_text, note.distinct) == (40, 40, 2)


def test_refused_values_have_their_reason_and_ten_examples(tmp_path: Path) -> None:
    report = checked(
        tmp_path, *[line(n, catalog={"Colour": f"mauve {n}"}) for n in range(12)], line(12)
    )
    colour = row(report, "Colour")
    assert colour.refused == 12
    (reason,) = colour.reasons
    assert reason.reason == "it is not an allowed value; write one of red, blue"
    assert (reason.count, len(reason.examples)) == (12, 10)
    assert reason.examples[0] == "'mauve 0', line 1"


def test_long_values_that_are_refused_for_one_reason_are_counted_together(tmp_path: Path) -> None:
    notes = [f"{n} and 'so' " + "on and on " * 30 for n in range(3)]
    report = checked(tmp_path, *[line(n, catalog={"Note": note}) for n, note in enumerate(notes)])
    (reason,) = row(report, "Note").reasons
    assert (reason.count, reason.reason) == (3, "it is longer than 200 characters; shorten it")


def test_what_stops_comes_first_then_what_costs_most(tmp_path: Path) -> None:
    lines = [line(n, catalog={"Colour": "red", "Size": "3"}) for n in range(40)]
    lines += [line(n, catalog={"Colour": "mauve"}) for n in range(40, 45)]
    report = checked(tmp_path, *lines, "{")
    kinds = [one.severity for one in report.findings]
    assert kinds == ["mend", "mend", "mend", "hint", "hint", "hint"]
    assert "Size: 40 of 40 values are refused" in report.findings[0].sentence
    assert verdict(report).startswith("mend first: Home > Mugs, Size")
    assert checked(tmp_path, *lines[:2], "{", "{").findings[0].severity == "stop"


def test_a_small_attribute_with_a_few_faults_is_a_hint(tmp_path: Path) -> None:
    lines = [line(n) for n in range(200)]
    lamps = [
        line(n, category="Home > Lamps", catalog={"Colour": "x" * 99}) for n in range(200, 205)
    ]
    report = checked(tmp_path, *lines, *lamps)
    assert report.ready
    assert any("Lamps, Colour: 5 of 5" in one.sentence for one in report.findings)
    more = [line(n, category="Home > Lamps", catalog={"Colour": "x" * 99}) for n in range(200, 210)]
    assert not checked(tmp_path, *lines, *more).ready


def test_a_catalog_that_could_teach_nothing_stops(tmp_path: Path) -> None:
    report = checked(tmp_path, *[line(n, catalog={}) for n in range(40)])
    assert report.stop is not None
    assert "none of the 40 products has a value" in verdict(report)
    few = checked(tmp_path, *[line(n) for n in range(4)])
    assert "products to learn from" in verdict(few)
    none = checked(tmp_path, *[line(n, category="Tents") for n in range(4)])
    assert "no product is of a category of the schema" in verdict(none)


def test_variants_are_groups_and_named(tmp_path: Path) -> None:
    titles = [f"{name(n // 5)} mug, no. {n % 5}" for n in range(40)]
    report = checked(tmp_path, *[line(n, title=title) for n, title in enumerate(titles)])
    assert (report.groups, report.several) == (8, 8)
    assert "8 groups of near-duplicates, the largest of 5: all products count as 8" in (
        list(catalog_lines(report))
    )
    assert report.largest[0].products == 5
    assert report.split.apart < report.split.teachers


def test_a_few_variants_are_a_hint_and_many_are_to_be_mended(tmp_path: Path) -> None:
    def said(every: int) -> list[str]:
        titles = [f"{name(n // every)} mug, no. {n % every}" for n in range(200)]
        report = checked(tmp_path, *[line(n, title=title) for n, title in enumerate(titles)])
        near = [one for one in report.findings if "nearly the title" in one.sentence]
        return [one.severity for one in near]

    assert said(1) == []
    assert said(2) == ["hint"]
    assert said(5) == ["mend"]


def test_what_the_schema_lacks_is_named_and_to_be_mended_where_it_is_most(tmp_path: Path) -> None:
    mugs = [line(n, catalog={"Colour": "red", "Depth": "3"}) for n in range(40)]
    tents = [line(n, category="Tents") for n in range(40, 60)]
    report = checked(tmp_path, *mugs, *tents)
    assert report.ready
    assert [(one.name, one.count) for one in report.unknown_categories] == [("Tents", 20)]
    said = [one.sentence for one in report.findings]
    assert any(
        "20 of 60 products are of categories that the schema lacks: 'Tents'" in s for s in said
    )
    assert any("Home > Mugs, Depth (40)" in sentence for sentence in said)
    many = [line(n, category="Tents") for n in range(40, 100)]
    assert verdict(checked(tmp_path, *mugs, *many)).startswith("mend first: 60 of 100 products")


def test_several_values_where_one_is_taken_are_told_with_both_ways_out(tmp_path: Path) -> None:
    report = checked(
        tmp_path, *[line(n, catalog={"Colour": ["red", "blue"], "Note": "n"}) for n in range(40)]
    )
    assert any("give --alternatives" in one.sentence for one in report.findings)


def test_pictures_are_counted_and_a_product_needs_no_text_beside_one(tmp_path: Path) -> None:
    images = ["https://shop.example/1.jpg"]
    lines = [line(n, images=images, title=name(n) if n % 2 else "") for n in range(40)]
    report = checked(tmp_path, *lines, line(40, images=["gone.jpg"]))
    pictures = report.pictures
    assert (pictures.products, pictures.without_text, pictures.missing) == (40, 20, 1)
    assert report.stop is None
    console = Console(width=100, record=True, file=io.StringIO())
    print_check(report, console)
    assert "40 products have pictures, 20 of them without a text; 1 images are not there" in (
        console.export_text()
    )


def test_only_wrong_lines_are_said_to_be_wrong_and_not_of_other_categories(tmp_path: Path) -> None:
    assert verdict(checked(tmp_path, "{", "{")).startswith(
        "mend first: 2 of 2 lines are no product"
    )
    assert "of a file of another kind `listune import` makes" in verdict(checked(tmp_path, "sku"))
    assert "has no products" in verdict(checked(tmp_path, ""))


@pytest.mark.parametrize(
    ("value", "text", "stands"),
    [
        ("S", "mugs", False),
        ("S", "mug, s", True),
        ("300 ml", "a mug of 300ml.", True),
        ("300 ml", "1300 ml", False),
        ("5 l", "1.5 l", False),
        ("dark red", "a dark red mug", True),
        ("\u7ea2", "\u7ea2\u8272\u676f", True),
        ("red", "a redder mug, red", True),
        ("red", "a_red_mug", True),
        ("3", "3.5 and 4.3", False),
        ("3", "2 or 3.", True),
        ("3 x 4 cm", "3x4 cm", True),
    ],
)
def test_a_value_stands_in_a_text_as_words_of_its_own(value: str, text: str, stands: bool) -> None:
    assert stands_in(value, text) is stands


@pytest.mark.slow
@pytest.mark.usefixtures("base_model")
def test_lengths_are_tokens_with_the_stop_where_the_base_is_here(base_model: Path) -> None:
    vocabulary = base_vocabulary(LocalSettings(base_model=str(base_model)))
    assert vocabulary is not None
    lengths = Lengths(vocabulary, 32)
    assert lengths.unit == "tokens"
    assert lengths.of([["red"]]) == [len(vocabulary.encode(" red")) + 1]


def test_without_a_base_lengths_are_characters_with_a_note(tmp_path: Path) -> None:
    assert base_vocabulary(LocalSettings(cache_dir=tmp_path)) is None
    console = Console(width=80, record=True, file=io.StringIO())
    print_check(checked(tmp_path, *[line(n) for n in range(40)]), console)
    said = console.export_text()
    assert "lengths are in characters" in said
    assert said.strip().endswith("ready")


def test_the_table_fits_eighty_columns_and_shows_whole_figures(tmp_path: Path) -> None:
    report = checked(
        tmp_path, *[line(n, catalog={"Size": "3", "Colour": "red"}) for n in range(40)]
    )
    console = Console(width=80, record=True, file=io.StringIO())
    print_check(report, console)
    said = console.export_text()
    assert max(map(len, said.splitlines())) <= 80
    assert "100%" in said
    assert "Colour (enum)" in said


@pytest.mark.slow
def test_the_page_opens_without_a_network_and_has_what_the_report_has(tmp_path: Path) -> None:
    lines = [line(n, catalog={"Colour": "<b>mauve</b>"}) for n in range(40)]
    report = checked(tmp_path, *lines, line(40, category="Tents"))
    data, page = write_check(report, tmp_path / "out")
    assert CheckReport.model_validate_json(data.read_text()) == report
    html = page.read_text()
    assert html.count("data:image/png;base64,") == 2
    assert "http" not in html
    assert "What the schema lacks" in html
    assert "<td>Tents</td>" in html
    assert "&lt;b&gt;mauve" in html
    assert "<b>mauve" not in html


def test_ids_that_stand_twice_are_one_reason_however_many_there_are(tmp_path: Path) -> None:
    report = checked(tmp_path, *[line(n % 30) for n in range(60)])
    (reason,) = report.wrong
    assert reason.count == 30
    assert reason.reason.startswith("product_id stands in an earlier line already; give each")
