"""How many products a catalog has of each category."""

from pathlib import Path

import pytest

from infra.catalogs.catalog import CatalogError
from infra.catalogs.categories import categories_in


def test_products_are_counted_by_category_and_lines_without_one_apart(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_bytes(
        b'\xef\xbb\xbf{"category": "Mugs"}\n\n{"category": "Mugs"}\n{"category": 166}\n'
        b'{"category": true}\n[]\n{\n{"category": " "}\n{"category": "\xff"}\n'
    )
    counts, without = categories_in(tmp_path / "c.jsonl")
    assert (dict(counts), without) == ({"Mugs": 2, "166": 1}, 5)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "no line has a `category`"), (b"[]", "no line has"), (b"\xff\xfe{", "is UTF-16")],
)
def test_another_file_is_refused_in_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "c.jsonl").write_bytes(content)
    with pytest.raises(CatalogError, match=words):
        categories_in(tmp_path / "c.jsonl")
    with pytest.raises(CatalogError, match="No such file"):
        categories_in(tmp_path / "missing")
