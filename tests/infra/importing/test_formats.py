"""Exports of known programs are known by their headers, and understood."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.importing.formats.known import FORMATS
from infra.importing.run import ImportReport, import_files

EXPORTS = Path(__file__).parent / "exports"


def imported(name: str, tmp_path: Path) -> tuple[ImportReport, list[dict[str, Any]]]:
    report = import_files([EXPORTS / name], tmp_path / "products.jsonl")
    text = report.out.read_text(encoding="utf-8")
    return report, [json.loads(line) for line in text.splitlines()]


def test_every_format_has_a_file_here() -> None:
    known = {one.name for one in FORMATS}
    assert {
        name for name in known if not list(EXPORTS.glob(f"{name.removesuffix('_xml')}.*"))
    } == set()


def test_shopify(tmp_path: Path) -> None:
    report, found = imported("shopify.csv", tmp_path)
    assert report.import_map.file.export == "shopify"
    first, second, third, mug = found
    assert first == {
        "product_id": "LS-W-S",
        "category": "Apparel & Accessories > Clothing > Shirts",
        "title": "Linen shirt",
        "description": "Light & airy. Machine wash",
        "images": [f"https://img.example/ls-{n}.jpg" for n in ("w", 1, 2, 3)],
        "catalog": {
            "Vendor": ["Halden"],
            "Barcode": ["0000000000017"],
            "Material": ["linen", "cotton"],
            "Color": ["White"],
            "Size": ["S"],
        },
        "cluster": "linen-shirt",
    }
    assert (second["title"], second["catalog"]["Size"]) == ("Linen shirt", ["M"])
    assert (third["product_id"], third["catalog"]["Color"]) == ("linen-shirt-3", ["Sand"])
    assert {p["cluster"] for p in (first, second, third)} == {"linen-shirt"}
    assert mug["catalog"] == {"Vendor": ["Tonwerk"]}
    assert mug["cluster"] == "clay-mug"


def test_shopify_with_its_newer_columns(tmp_path: Path) -> None:
    report, found = imported("shopify_new.csv", tmp_path)
    assert report.import_map.file.export == "shopify"
    assert [(p["product_id"], p["catalog"]["Colour"], p["title"]) for p in found] == [
        ("WC-G", ["Grey"], "Wool cap"),
        ("WC-B", ["Blue"], "Wool cap"),
    ]


def test_woocommerce(tmp_path: Path) -> None:
    report, found = imported("woocommerce.csv", tmp_path)
    assert report.import_map.file.export == "woocommerce"
    shelf, oiled, waxed, peg = found
    assert shelf["category"] == "Furniture > Shelves"
    assert shelf["catalog"] == {
        "Weight": ["2.5 kg"],
        "Length": ["80 cm"],
        "Finish": ["Oiled", "Waxed, matt"],
        "Room": ["Hall"],
    }
    assert (oiled["category"], oiled["description"]) == (
        "Furniture > Shelves",
        "Solid oak. Hangs on two hooks.",
    )
    assert oiled["images"] == [f"https://img.example/oak-{n}.jpg" for n in (1, 2)]
    assert (waxed["product_id"], waxed["catalog"]["Finish"]) == ("id:13", ["Waxed, matt"])
    assert {p["cluster"] for p in (shelf, oiled, waxed)} == {"OAK"}
    assert peg["catalog"] == {"Weight": ["0.05 kg"], "Length": ["9 cm"], "Material": ["Beech"]}


def test_magento(tmp_path: Path) -> None:
    report, found = imported("magento.csv", tmp_path)
    assert report.import_map.file.export == "magento"
    green, red, tent = found
    assert green["category"] == "Default Category > Outdoor > Tents"
    assert green["catalog"] == {
        "weight": ["2.4"],
        "color": ["Green"],
        "season": ["Spring", "Summer"],
        "note": ["Small, but light"],
        "waterproof": ["Yes"],
    }
    assert green["images"] == ["/t/e/tent-g.jpg", "/t/e/a.jpg", "/t/e/b.jpg"]
    assert {p["cluster"] for p in found} == {"TENT"}
    assert red["title"] == "Tent red", "a store view's row is a translation"
    assert tent["product_id"] == "TENT"


def test_akeneo(tmp_path: Path) -> None:
    report, found = imported("akeneo.csv", tmp_path)
    assert report.import_map.file.export == "akeneo"
    first, second = found
    assert first["category"] == "jackets"
    assert first["title"] == "Jacke", "the first language of the file"
    assert first["description"] == "A jacket."
    assert first["catalog"] == {
        "color": ["blue", "grey"],
        "weight": ["0.850 KILOGRAM"],
        "waterproof": ["1"],
        "launch": ["2024-05-01"],
    }
    assert second["cluster"] == "J"
    assert first["images"] == ["files/j1.jpg"]


def test_icecat(tmp_path: Path) -> None:
    report, found = imported("icecat.csv", tmp_path)
    assert report.import_map.file.export == "icecat"
    (monitor,) = found
    assert (monitor["product_id"], monitor["category"]) == ("900001", "Computer Monitors")
    assert monitor["catalog"] == {
        "Brand": ["Visor"],
        "Model Number": ["VX-24"],
        "GTIN": ["0000000000031"],
        "Model": ["VX 24"],
        "Display diagonal": ["61 cm"],
        "Refresh rate": ["75 Hz"],
        "Ratio": ["16:9"],
    }
    assert [i[-8:] for i in monitor["images"]] == ["e/vx.jpg", "vx-2.jpg", "vx-3.jpg"]
    assert report.rejected_rows == 1


def test_open_food_facts(tmp_path: Path) -> None:
    report, found = imported("open_food_facts.csv", tmp_path)
    assert report.import_map.file.export == "open_food_facts"
    biscuits, milk = found
    assert (biscuits["category"], milk["category"]) == ("Biscuits", "oat milks")
    assert (biscuits["title"], milk["title"]) == ('Oat "soft" biscuits', '"Plain')
    assert biscuits["catalog"] == {
        "Brand": ["Haver", "Korn"],
        "Labels": ["Organic", "Vegan"],
        "Quantity": ["200 g"],
        "energy kj per 100 g": ["1850 kJ"],
        "fat per 100 g": ["14.5 g"],
    }


def test_amazon_flat_file(tmp_path: Path) -> None:
    report, found = imported("amazon.tsv", tmp_path)
    assert report.import_map.file.export == "amazon"
    assert report.import_map.file.header_row == 3
    pan, _ = found
    assert pan["title"] == "Iron pan 20 cm"
    assert pan["description"] == "A pan. Heavy Oven safe"
    assert pan["catalog"] == {
        "brand name": ["Gussa"],
        "color name": ["Black"],
        "item length": ["38 CM"],
        "item weight": ["1.2 KG"],
    }
    assert {p["cluster"] for p in found} == {"PAN"}
    assert len(pan["images"]) == 2


def test_amazon_listing_template_with_its_newer_names(tmp_path: Path) -> None:
    _, found = imported("amazon_new.tsv", tmp_path)
    assert found[0]["product_id"] == "POT-1"
    assert found[0]["catalog"] == {
        "brand": ["Gussa"],
        "color": ["Silver", "Black"],
        "item weight": ["2 Kilograms"],
    }


def test_amazon_template_in_excel_behind_a_sheet_of_instructions(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["How to fill this in", "", ""])
    sheet = book.create_sheet("Template")
    for line in (EXPORTS / "amazon_new.tsv").read_text(encoding="utf-8").splitlines():
        sheet.append(line.split("\t"))
    book.save(tmp_path / "f.xlsm")
    report = import_files([tmp_path / "f.xlsm"], tmp_path / "products.jsonl")
    assert (report.products, report.import_map.file.sheet) == (1, "Template")
    assert report.import_map.file.header_row == 4


@pytest.mark.parametrize("name", ["google_merchant.tsv", "google_merchant.xml"])
def test_google_merchant(tmp_path: Path, name: str) -> None:
    report, found = imported(name, tmp_path)
    assert report.import_map.file.export.startswith("google_merchant")
    (bag,) = found
    assert (bag["category"], bag["cluster"]) == ("Bags > Totes", "B")
    assert bag["description"] == "A bag."
    assert len(bag["images"]) == 3
    own = bag["catalog"]
    assert (own["Brand"], own["Color"]) == (["Halden"], ["red", "blue"])
    assert (own["Volume"], own["Closure"]) == (["12 l"], ["Zip"])
    assert not {"price", "shipping"} & own.keys()


def test_bmecat(tmp_path: Path) -> None:
    _, found = imported("bmecat.xml", tmp_path)
    assert found == [
        {
            "product_id": "R-7",
            "category": "EC000000",
            "title": "Cable reel",
            "description": "A reel.",
            "images": ["reel.jpg"],
            "catalog": {"Manufacturer": ["Spule"], "Length": ["25 m"], "Colour": ["black", "red"]},
        }
    ]


def test_schema_org_in_a_page(tmp_path: Path) -> None:
    _, found = imported("schema_org.html", tmp_path)
    assert found == [
        {
            "product_id": "L-1",
            "category": "Lamps > Desk Lamps",
            "title": "Brass lamp",
            "description": "A lamp & a half.",
            "images": ["https://img.example/l1.jpg", "https://img.example/l2.jpg"],
            "catalog": {
                "Color": ["brass"],
                "Brand": ["Lumen"],
                "Height": ["42 cm"],
                "Socket": ["E27"],
                "Power": ["40 W"],
            },
        }
    ]


def test_schema_org_variants_have_what_their_group_says(tmp_path: Path) -> None:
    _, found = imported("schema_org.json", tmp_path)
    assert [(p["product_id"], p["title"], p["catalog"]["Size"]) for p in found] == [
        ("S-38", "Wool socks", ["38"]),
        ("S-42", "Wool socks, large", ["42"]),
    ]
    assert {p["cluster"] for p in found} == {"SOCK"}
    assert all(p["catalog"]["Material"] == ["wool"] for p in found)


@pytest.mark.parametrize("name", sorted(path.name for path in EXPORTS.iterdir()))
def test_the_map_of_an_export_given_back_gives_the_same_catalog(tmp_path: Path, name: str) -> None:
    report = import_files([EXPORTS / name], tmp_path / "a" / "products.jsonl")
    again = import_files([EXPORTS / name], tmp_path / "b" / "products.jsonl", report.map_path)
    assert again.out.read_bytes() == report.out.read_bytes()
    assert again.rejected.read_bytes() == report.rejected.read_bytes()
