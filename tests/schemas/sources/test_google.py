"""Google's taxonomy names categories, and the Merchant feed has the attributes."""

from pathlib import Path

import pytest

from schemas.category import AttributeType
from schemas.errors import SchemaError
from schemas.sources.google import read_google
from tests.schemas.sources.reading import written

FILE = """# Google_Product_Taxonomy_Version: 2021-09-21
166 - Kleidung & Co
1604 - Kleidung & Co > Oberteile
7 - Kleidung & Co > Ketten
536 - Haus
8 - Haus > Lampen
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "taxonomy-with-ids.de-DE.txt").write_text("\ufeff" + FILE, encoding="utf-8")
    return tmp_path / "taxonomy-with-ids.de-DE.txt"


def test_each_line_is_a_category_with_its_id(file: Path, tmp_path: Path) -> None:
    schemas, built = written(read_google(file), tmp_path)
    assert list(schemas)[:2] == ["Kleidung & Co", "Kleidung & Co > Oberteile"]
    assert [one.id for one in built.categories] == ["166", "1604", "7", "536", "8"]


def test_apparel_is_asked_for_gender_age_and_sizes_by_its_id_in_any_language(
    file: Path, tmp_path: Path
) -> None:
    schemas, _ = written(read_google(file), tmp_path)
    tops, chains = schemas["Kleidung & Co > Oberteile"], schemas["Kleidung & Co > Ketten"]
    lamps = schemas["Haus > Lampen"]
    sizes = {"gender", "age_group", "size", "size_type", "size_system"}
    assert sizes <= tops.by_name.keys()
    assert not sizes & lamps.by_name.keys()
    assert tops.by_name["gender"].values == ("male", "female", "unisex")
    assert (tops.by_name["size"].required, chains.by_name["size"].required) == (True, False)
    assert "energy_efficiency_class" in lamps.by_name
    assert "energy_efficiency_class" not in tops.by_name


def test_every_category_is_asked_for_what_describes_a_product(file: Path, tmp_path: Path) -> None:
    schemas, _ = written(read_google(file), tmp_path)
    lamps = schemas["Haus > Lampen"].by_name
    assert lamps["color"].type is AttributeType.TEXT
    assert lamps["color"].multi_value
    assert lamps["product_width"].units == ("cm", "in")
    assert not {"price", "availability", "gtin"} & lamps.keys()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("1 - Haus\n", "does not begin with '# Google_Product_Taxonomy_Version:'"),
        ("# Google_Product_Taxonomy_Version: 1\nHaus > Lampen\n", "line 2: 'Haus > Lampen' is no"),
    ],
)
def test_another_file_is_refused_in_a_sentence(file: Path, content: str, words: str) -> None:
    file.write_text(content)
    with pytest.raises(SchemaError, match=r"taxonomy-with-ids") as caught:
        read_google(file)
    assert words in str(caught.value)
