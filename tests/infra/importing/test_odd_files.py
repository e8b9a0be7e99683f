"""Files as programs and people leave them, in each format one that is awkward."""

import datetime
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from infra.importing.errors import ImportFault
from infra.importing.run import ImportReport, import_files


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def imported(path: Path, content: str | bytes | None = None) -> ImportReport:
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return import_files([path], path.parent / f"{path.name}.out" / "products.jsonl")


def products(path: Path, content: str | bytes | None = None) -> list[dict[str, Any]]:
    return lines(imported(path, content).out)


# --------------------------------------------------------------------------------- known exports

SHOPIFY = """\
Handle;Title;Body (HTML);Vendor;Product Category;Type;Option1 Name;Option1 Value;Option2 Name;\
Option2 Value;Variant SKU;Variant Price;Image Src;Größe in cm (product.metafields.custom.groesse)
"""


def test_a_shopify_export_in_cp1252_with_semicolons_and_html_on_several_lines(
    tmp_path: Path,
) -> None:
    text = SHOPIFY
    for n in range(125):
        text += (
            f'schuh-{n};Schöner Schuh „Öko“ {n};"<div>\r\n<h2>Größe & Maß</h2>\n<p>Aus ""Leder"";'
            f' für Straße &amp; Büro.</p></div>";Müller GmbH;Bekleidung > Schuhe;Schuhe;Farbe;weiß;'
            f"Größe;38;S-{n}-0;9,99;https://cdn.example/{n}.jpg;12,5; 13,5\n"
        ).replace("12,5; 13,5", '"12,5; 13,5"')
        text += "".join(f"schuh-{n};;;;;;;schwarz;;{38 + v};S-{n}-{v};9,99;;\n" for v in (1, 2, 3))
    report = imported(tmp_path / "shop.csv", text.encode("cp1252"))
    assert (report.rows, report.products, report.reasons.total()) == (500, 500, 0)
    assert lines(report.out)[1] == {
        "product_id": "S-0-1",
        "category": "Bekleidung > Schuhe",
        "title": "Schöner Schuh „Öko“ 0",
        "description": 'Größe & Maß Aus "Leder"; für Straße & Büro.',
        "images": ["https://cdn.example/0.jpg"],
        "catalog": {
            "Vendor": ["Müller GmbH"],
            "Größe in cm": ["12.5", "13.5"],
            "Farbe": ["schwarz"],
            "Größe": ["39"],
        },
        "cluster": "schuh-0",
    }


def test_a_shopify_product_without_a_category_is_of_its_type(tmp_path: Path) -> None:
    text = SHOPIFY.replace(";", ",")
    text += (
        "a,Mug,,V,Home > Mugs,Mug,,,,,S1,1,,\nb,Cap,,V,,Headwear,,,,,S2,1,,\nc,It,,V,,,,,,,S3,,,\n"
    )
    report = imported(tmp_path / "f.csv", text)
    assert [p["category"] for p in lines(report.out)] == ["Home > Mugs", "Headwear"]
    assert lines(report.rejected)[0]["product_id"] == "S3"


WOOCOMMERCE = """\
ID,Type,SKU,Name,Visibility in catalog,Description,Categories,Parent,Attribute 1 name,\
Attribute 1 value(s)
1,simple,T1,Saw,visible,"<p>Sharp.</p>\\n<p>Cuts \\\\new wood.</p>","Tools\\, sharp > Saws, Sale",,\
Size,"S, M\\, wide"
2,simple,T2,Cap,visible,Warm,"Caps, Hats",,Size,L
"""


def test_woocommerce_writes_line_breaks_and_commas_behind_a_backslash(tmp_path: Path) -> None:
    saw, cap = products(tmp_path / "f.csv", WOOCOMMERCE)
    assert saw["category"] == "Tools, sharp > Saws"
    assert saw["description"] == "Sharp. Cuts \\new wood."
    assert saw["catalog"] == {"Size": ["S", "M, wide"]}
    assert cap["category"] == "Caps"


MAGENTO = """\
sku,store_view_code,attribute_set_code,product_type,categories,name,additional_attributes
A,,Bag,simple,"Gear,Gear/Bags",Bag,"activity=Gym|Hiking,note=has a=b, and c, features=A|B,empty="
"""


def test_magentos_cells_have_separators_in_their_values(tmp_path: Path) -> None:
    (bag,) = products(tmp_path / "f.csv", MAGENTO)
    assert bag["category"] == "Gear > Bags"
    assert bag["catalog"] == {
        "activity": ["Gym", "Hiking"],
        "note": ["has a=b, and c"],
        "features": ["A", "B"],
    }


AKENEO = """\
sku;family;parent;categories;enabled;name-de_DE;name-en_US;description-de_DE-ecommerce;\
description-en_US-print;weight;weight-unit;color;price-EUR;price-USD;care-de_DE;care-en_US
1;shoes;M;sale,all;1;Schuh;Shoe;<p>Gut</p>;Print;0.5;KILOGRAM;red,blue;9.99;10.99;waschen;wash
"""


def test_akeneos_columns_of_a_language_a_channel_and_a_currency(tmp_path: Path) -> None:
    (shoe,) = products(tmp_path / "f.csv", AKENEO)
    assert (shoe["title"], shoe["description"]) == ("Schuh", "Gut")
    assert shoe["catalog"] == {
        "weight": ["0.5 KILOGRAM"],
        "color": ["red", "blue"],
        "care": ["waschen"],
    }


FEED = """\
<?xml version="1.0" encoding="ENCODING"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>
<item><g:id>1</g:id><title><![CDATA[Bag & <b>more</b>]]></title>
<g:product_type>Bags &gt; Totes</g:product_type><g:color>Weiß/Blau</g:color></item>
<item><g:id>2</g:id><title>Bag</title>
<g:google_product_category>Luggage &gt; Bags</g:google_product_category></item>
</channel></rss>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_a_google_feed_in_each_encoding_with_either_category(tmp_path: Path, encoding: str) -> None:
    feed = FEED.replace("ENCODING", encoding).encode(encoding)
    first, second = products(tmp_path / "f.xml", feed)
    assert (first["title"], first["category"]) == ("Bag & more", "Bags > Totes")
    assert first["catalog"] == {"Color": ["Weiß", "Blau"]}
    assert second["category"] == "Luggage > Bags"


def test_a_google_table_with_either_category(tmp_path: Path) -> None:
    table = (
        "id\ttitle\tlink\timage link\tprice\tproduct type\tgoogle product category\n"
        "1\tBag\thttps://x/1\thttps://x/1.jpg\t1 EUR\tBags > Totes\tLuggage\n"
        "2\tCap\thttps://x/2\thttps://x/2.jpg\t1 EUR\t\tHats\n"
    )
    found = products(tmp_path / "f.tsv", table)
    assert [p["category"] for p in found] == ["Bags > Totes", "Hats"]


def test_json_ld_without_any_category_is_of_one(tmp_path: Path) -> None:
    graph = [
        {"@type": "WebPage", "name": "x"},
        {"@type": ["Product", "Thing"], "sku": "L1", "name": "Lamp"},
        {"@type": "http://schema.org/Product", "sku": "L2", "name": "Lamp 2"},
    ]
    content = json.dumps({"@context": "https://schema.org", "@graph": graph})
    report = imported(tmp_path / "f.json", content)
    assert [(p["product_id"], p["category"]) for p in lines(report.out)] == [
        ("L1", "Products"),
        ("L2", "Products"),
    ]
    assert "no column is named like a category" in report.map_path.read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------ containers


def sheet(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(list(row))
    book.save(path)
    return path


@pytest.mark.parametrize(
    "above",
    [("General", None, None, "Features", None, None), ("General",) * 3 + ("Features",) * 3],
)
def test_excel_with_a_row_of_groups_above_the_header(
    tmp_path: Path, above: tuple[str | None, ...]
) -> None:
    rows: list[Sequence[object]] = [above, ("sku", "category", "title", "since", "weight", "color")]
    for n in range(1, 5):
        day = datetime.datetime(2024, 1, n)
        rows.append((n, "Chairs", f"Chair {n}", day, n / 4, "red|blue"))
    path = sheet(tmp_path / "f.xlsx", rows)
    report = imported(path)
    assert report.import_map.file.header_row == 2
    assert lines(report.out)[0] == {
        "product_id": "1",
        "category": "Chairs",
        "title": "Chair 1",
        "catalog": {"since": ["2024-01-01"], "weight": ["0.25"], "color": ["red", "blue"]},
    }
    packed = products(tmp_path / "f.xlsx.gz", gzip.compress(path.read_bytes()))
    assert packed == lines(report.out)


def test_parquet_with_nested_lists_structs_maps_and_single_precision(tmp_path: Path) -> None:
    duckdb.execute(
        f"""COPY (SELECT 1001::DECIMAL(18, 0) sku, 'Mugs' category, 'Mug' title,
        [[1, 2], [3]] sizes, [{{'name': 'Color', 'value': 'red'}}] attributes,
        {{'h': 0.1::FLOAT, 'w': {{'x': 2}}}} dims, MAP {{'Care': 'wash'}} more, 0.7::FLOAT AS load,
        NULL::VARCHAR AS empty, TIMESTAMP '2024-01-02 03:04:05' since
        FROM range(1)) TO '{tmp_path}/f.parquet'"""
    )
    (mug,) = products(tmp_path / "f.parquet")
    assert mug["product_id"] == "1001"
    assert mug["catalog"] == {
        "sizes": ["1", "2", "3"],
        "Color": ["red"],
        "dims.h": ["0.1"],
        "dims.w.x": ["2"],
        "more.Care": ["wash"],
        "load": ["0.7"],
        "since": ["2024-01-02 03:04:05"],
    }


def test_the_rows_of_parquet_and_of_json_come_in_their_order_each_time(tmp_path: Path) -> None:
    query = "SELECT i sku, 'Mugs' category, 'Mug ' || i title FROM range(30000) t(i)"
    duckdb.execute(f"COPY ({query}) TO '{tmp_path}/f.parquet' (ROW_GROUP_SIZE 2048)")
    duckdb.execute(f"COPY ({query}) TO '{tmp_path}/f.json' (FORMAT json, ARRAY true)")
    for name in ("f.parquet", "f.json"):
        report = imported(tmp_path / name)
        first = report.out.read_bytes()
        assert [p["product_id"] for p in lines(report.out)] == [str(n) for n in range(30_000)]
        assert imported(tmp_path / name).out.read_bytes() == first


def test_the_list_of_products_is_found_inside_of_what_wraps_it(tmp_path: Path) -> None:
    mug = {"sku": "1", "category": "Mugs", "title": "Mug"}
    for content in ({"products": [mug]}, {"count": 1, "data": {"page": 1, "products": [mug]}}):
        assert products(tmp_path / "f.json", json.dumps(content))[0]["product_id"] == "1"


def test_files_of_two_kinds_are_not_one_catalog(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sku,category,title\n1,Mugs,Mug\n2,Mugs,Cup\n")
    (tmp_path / "b.csv").write_text("sku;category;title\n3;Mugs;Pot\n4;Mugs;Jar\n")
    with pytest.raises(ImportFault, match=r"b.csv: has none of the columns of .*a.csv"):
        import_files([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "out.jsonl")


def test_utf_16_with_tabs(tmp_path: Path) -> None:
    text = "sku\tcategory\ttitle\tcolor\r\n1\tTassen\tBecher „1“ 日本\tgrün\r\n"
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        (cup,) = products(tmp_path / f"{encoding}.tsv", text.encode(encoding))
        assert (cup["title"], cup["catalog"]) == ("Becher „1“ 日本", {"color": ["grün"]})


# ----------------------------------------------------------------------------------------- cells


def test_columns_of_one_name_are_numbered(tmp_path: Path) -> None:
    text = "sku,category,title,image,image,color,color,\n1,Mugs,Mug,a.jpg,b.jpg,red,blue,extra\n"
    (mug,) = products(tmp_path / "f.csv", text)
    assert mug["images"] == ["a.jpg", "b.jpg"]
    assert mug["catalog"] == {"color": ["red"], "color (2)": ["blue"], "column 8": ["extra"]}


def test_a_row_with_too_many_cells_is_rejected_and_one_with_empty_ones_is_not(
    tmp_path: Path,
) -> None:
    text = "sku,category,title\n1,Mugs,Mug, blue\n2,Mugs,Cup,,,\n3,Mugs\n"
    report = imported(tmp_path / "f.csv", text)
    assert [p["product_id"] for p in lines(report.out)] == ["2"]
    assert [(r["line"], r["reason"][:23]) for r in lines(report.rejected)] == [
        (2, "has 4 cells, the header"),
        (4, "title: is empty; fill t"),
    ]


def test_nul_bytes_are_left_out(tmp_path: Path) -> None:
    text = "sku,category,title,color\n1,Mugs,M\0ug\0,red\0\n2,Mugs,Cup,\0\0\n"
    mug, cup = products(tmp_path / "f.csv", text)
    assert (mug["title"], mug["catalog"], cup["catalog"]) == ("Mug", {"color": ["red"]}, {})


def test_cells_of_a_million_characters_are_read(tmp_path: Path) -> None:
    long = "word " * 200_000
    text = f"sku,category,title,description,color\n1,Mugs,Mug,{long},{long}\n2,Mugs,{long},,red\n"
    first, second = products(tmp_path / "f.csv", text)
    assert first["description"] == first["catalog"]["color"][0] == second["title"] == long.strip()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"\n \n", "is empty"),
        (b"\xef\xbb\xbf\n", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"sku,category,title", "has no rows"),
        (b"[]", "has no rows; give"),
        (b"<html><body>Shop</body></html>", "has no Product as JSON-LD"),
        (gzip.compress(b"PAR1", mtime=0), "is packed twice; unpack"),
    ],
)
def test_a_file_without_products_is_one_sentence(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    with pytest.raises(ImportFault, match=fault):
        imported(tmp_path / "f", content)
